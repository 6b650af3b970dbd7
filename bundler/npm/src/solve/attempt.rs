//! Lays one tree out, breadth-first, in order of paths and names.

use std::collections::{BTreeMap, BTreeSet};

use super::pick::{Market, Pick, best};
use super::place::Obstacle;
use super::problem::{Problem, SolveError};
use super::repair::{Repair, Repairs};
use super::tree::{Chosen, Id, Kind, ROOT, Tree};
use crate::MAX_PACKAGES;
use crate::lock::Lock;
use crate::package::Package;
use crate::packument::PackumentState;
use crate::spec::Spec;

/// Deeper trees come only of packages that need each other in ever other versions.
const MAX_DEPTH: usize = 40;

/// What an attempt came to.
pub(super) enum Ran {
    Needs(BTreeSet<String>),
    Repair(Repair),
    Done(Lock),
    Failed(Vec<SolveError>),
}

/// One tree.
pub(super) struct Attempt<'a> {
    wanted: &'a BTreeMap<String, String>,
    lock: Option<&'a Lock>,
    pub(super) market: Market<'a>,
    pub(super) tree: Tree<'a>,
    pub(super) needs: BTreeSet<String>,
    repair: Option<Repair>,
    errors: Vec<SolveError>,
    /// Packages whose edges are still to be followed, by depth and path.
    queue: BTreeMap<(usize, String), Id>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        wanted: &'a BTreeMap<String, String>,
        lock: Option<&'a Lock>,
        packuments: &'a BTreeMap<String, PackumentState>,
        repairs: &'a Repairs,
    ) -> Self {
        Self {
            wanted,
            lock,
            market: Market::new(lock, packuments, repairs),
            tree: Tree::new(wanted),
            needs: BTreeSet::new(),
            repair: None,
            errors: Vec::new(),
            queue: BTreeMap::from([((0, String::new()), ROOT)]),
        }
    }

    pub(super) fn run(mut self) -> Ran {
        while let Some((_, id)) = self.queue.pop_first() {
            for index in 0..self.tree.nodes[id].edges.len() {
                self.follow((id, index));
            }
            // What is wrong in package.json itself stays wrong whatever comes next.
            let stuck = id == ROOT && self.repair.is_none() && !self.errors.is_empty();
            if stuck || self.tree.nodes.len() > MAX_PACKAGES {
                break;
            }
        }
        if self.tree.nodes.len() > MAX_PACKAGES {
            let last = self.tree.nodes.last().map_or((ROOT, 0), |node| node.cause);
            return Ran::Failed(vec![self.error(last, Problem::TooMany)]);
        }
        let of_root = self.errors.iter().any(|error| error.needed_by.is_empty());
        if of_root && self.repair.is_none() {
            return Ran::Failed(self.errors);
        }
        if !self.needs.is_empty() {
            return Ran::Needs(self.needs);
        }
        match self.repair {
            Some(repair) => Ran::Repair(repair),
            None if !self.errors.is_empty() => Ran::Failed(self.errors),
            None => Ran::Done(self.finish()),
        }
    }

    fn follow(&mut self, at: (Id, usize)) {
        let edge = self.tree.edge(at);
        if edge.to.is_some() {
            return;
        }
        let (name, kind) = (edge.name, edge.kind);
        let spec = match &edge.spec {
            Ok(spec) => spec.clone(),
            Err(error) => {
                let problem = Problem::Spec { name: crate::name::shown(name), error: error.clone() };
                return self.trouble(at, problem);
            }
        };
        match self.tree.lookup(at.0, name) {
            Some(found) if self.links(at, found) => return self.tree.link(at, found),
            None if kind == Kind::OptionalPeer => return,
            _ => {}
        }
        if kind == Kind::Optional && self.is_dropped(at, &spec) {
            return;
        }
        match self.market.pick(&spec, self.is_settled(at)) {
            Pick::Needs => {
                self.needs.insert(spec.name);
            }
            Pick::Problem(problem) => self.trouble(at, problem),
            Pick::Chosen(chosen) if chosen.foreign && kind == Kind::Optional => {}
            Pick::Chosen(chosen) => self.put(at, &spec, chosen),
        }
    }

    /// Whether an optional dependency was found to be of no use, now or when the lock was made.
    fn is_dropped(&self, at: (Id, usize), spec: &Spec) -> bool {
        let who = self.tree.nodes[at.0].chosen.as_ref();
        let dropped = (self.tree.shown(at.0), self.tree.edge(at).name.to_owned());
        let left_out = who.is_some_and(|chosen| chosen.locked) && !self.market.is_locked(&spec.name);
        left_out || self.market.repairs.dropped.contains(&dropped)
    }

    /// Whether the demand is one that the lock was made for.
    fn is_settled(&self, (id, index): (Id, usize)) -> bool {
        match &self.tree.nodes[id].chosen {
            Some(chosen) => chosen.locked,
            None => {
                let name = self.tree.nodes[id].edges[index].name;
                self.lock.is_some_and(|lock| lock.wanted.get(name) == self.wanted.get(name))
            }
        }
    }

    fn put(&mut self, at: (Id, usize), spec: &Spec, mut chosen: Chosen<'a>) {
        chosen.lenient = at.0 != ROOT && self.market.repairs.lenient.contains(&chosen.shown());
        let edge = self.tree.edge(at);
        let (name, kind) = (edge.name, edge.kind);
        let deepest = if kind.is_peer() { self.tree.nodes[at.0].parent } else { at.0 };
        match self.place(deepest, name, &chosen) {
            Ok(folder) if self.tree.nodes[folder].depth < MAX_DEPTH => {
                let id = self.settle(folder, name, chosen, at);
                self.tree.link(at, id);
                self.enqueue(id);
            }
            Ok(_) => self.trouble(at, Problem::TooDeep { name: name.to_owned() }),
            Err(obstacle) => self.conflict(at, spec, &chosen, obstacle),
        }
    }

    /// Has a package's edges followed, those that lead nowhere yet.
    pub(super) fn enqueue(&mut self, id: Id) {
        let node = &self.tree.nodes[id];
        self.queue.insert((node.depth, node.path.clone()), id);
    }

    /// A package can't be had: drops an optional dependency on the way to it, or notes an error.
    fn trouble(&mut self, at: (Id, usize), problem: Problem) {
        if self.tree.edge(at).kind == Kind::Optional {
            return;
        }
        match self.dropping(at) {
            Some(repair) => {
                self.repair.get_or_insert(repair);
            }
            None => {
                let error = self.error(at, problem);
                self.errors.push(error);
            }
        }
    }

    /// The nearest optional dependency through which an edge came into the tree.
    fn dropping(&self, at: (Id, usize)) -> Option<Repair> {
        let mut id = at.0;
        while id != ROOT {
            let cause = self.tree.nodes[id].cause;
            let edge = self.tree.edge(cause);
            if edge.kind == Kind::Optional {
                let repair = Repair::Drop { who: self.tree.shown(cause.0), name: edge.name.to_owned() };
                return self.untried(repair);
            }
            id = cause.0;
        }
        None
    }

    fn untried(&self, repair: Repair) -> Option<Repair> {
        (!self.market.repairs.has(&repair)).then_some(repair)
    }

    /// A package has no place: looks for another choice that gives it one.
    fn conflict(&mut self, at: (Id, usize), spec: &Spec, chosen: &Chosen<'a>, obstacle: Obstacle) {
        if self.tree.edge(at).kind == Kind::Optional {
            return;
        }
        let mut against = Vec::new();
        let own_peer = matches!(obstacle, Obstacle::Peer { .. });
        let (contested, found) = match obstacle {
            Obstacle::Taken(found) => (spec.clone(), found),
            Obstacle::Peer { spec, found } => (spec, Some(found)),
            Obstacle::Breaks(edges) => {
                against = edges;
                (spec.clone(), None)
            }
            Obstacle::Forbidden => (spec.clone(), None),
        };
        if let Some(found) = found {
            against.extend(self.tree.nodes[found].incoming.iter().copied());
        }
        // Without the packument nothing is known to be impossible.
        if !self.market.packuments.contains_key(&contested.name) {
            self.needs.insert(contested.name);
            return;
        }
        let lenient = self.lenient(at, chosen, own_peer, &against);
        let repair = self
            .common(&contested, &against)
            .or_else(|| self.deeper(at))
            .or_else(|| self.unlocking(at, chosen))
            .or_else(|| self.dropping(at))
            .or(lenient);
        if let Some(repair) = repair {
            self.repair.get_or_insert(repair);
            return;
        }
        let problem = self.contradiction(at, chosen, &contested, found, &against);
        let error = self.error(at, problem);
        self.errors.push(error);
    }

    /// A version that all who contend for a place can use.
    fn common(&self, contested: &Spec, against: &[(Id, usize)]) -> Option<Repair> {
        let others = against.iter().filter_map(|edge| self.tree.edge(*edge).spec.as_ref().ok());
        let specs: Vec<&Spec> = others.chain([contested]).collect();
        if specs.iter().any(|spec| spec.name != contested.name) {
            return None;
        }
        let found = best(self.market.packument(&contested.name)?, &specs)?;
        self.untried(Repair::Pin { name: contested.name.clone(), version: found.package.version.clone() })
    }

    /// A package whose peer doesn't fit may fit where it isn't shared.
    fn deeper(&self, at: (Id, usize)) -> Option<Repair> {
        let node = &self.tree.nodes[at.0];
        if !self.tree.edge(at).kind.is_peer() || node.parent == node.cause.0 {
            return None;
        }
        let folder = self.tree.nodes[node.parent].path.clone();
        let name = node.path.rsplit_once("node_modules/").map_or("", |(_, name)| name).to_owned();
        self.untried(Repair::Forbid { folder, name })
    }

    /// A package that the project didn't ask for itself, whose peers are in the way.
    fn lenient(&self, at: (Id, usize), chosen: &Chosen<'_>, own_peer: bool, against: &[(Id, usize)]) -> Option<Repair> {
        let placed = own_peer && at.0 != ROOT;
        let edges = std::iter::once(&at).chain(against).filter(|edge| {
            let (id, _) = **edge;
            id != ROOT && self.tree.edge(**edge).kind.is_peer() && self.tree.nodes[id].cause.0 != ROOT
        });
        let others = edges.map(|edge| self.tree.shown(edge.0));
        let mut who = placed.then(|| chosen.shown()).into_iter().chain(others);
        who.find_map(|who| self.untried(Repair::Lenient(who)))
    }

    fn unlocking(&self, at: (Id, usize), chosen: &Chosen<'_>) -> Option<Repair> {
        let whose = self.tree.nodes[at.0].chosen.as_ref();
        let locked = [Some(chosen), whose].into_iter().flatten().filter(|chosen| chosen.locked);
        locked.map(|chosen| Repair::Unlock(chosen.name.clone())).find(|repair| !self.market.repairs.has(repair))
    }

    fn contradiction(
        &self,
        at: (Id, usize),
        chosen: &Chosen<'_>,
        contested: &Spec,
        found: Option<Id>,
        against: &[(Id, usize)],
    ) -> Problem {
        // A package that can't be put down for its own peer is the one that expects it.
        let own = contested.name != chosen.name;
        let who = if own { chosen.shown() } else { self.tree.shown(at.0) };
        // The project's own demand comes first: it is the one that can be changed.
        let other = against.iter().filter(|edge| **edge != at).min().map(|edge| {
            let demand = self.tree.edge(*edge).spec.as_ref().map(ToString::to_string).unwrap_or_default();
            (self.tree.shown(edge.0), demand)
        });
        let found = found.or_else(|| self.tree.lookup(at.0, self.tree.edge(at).name)).map(|id| self.tree.shown(id));
        Problem::Peer { who, expects: contested.to_string(), found, other, peer: contested.name.clone() }
    }

    fn error(&self, at: (Id, usize), problem: Problem) -> SolveError {
        let mut needed_by = Vec::new();
        let (mut id, mut index) = at;
        while id != ROOT {
            needed_by.push(self.tree.shown(id));
            (id, index) = self.tree.nodes[id].cause;
        }
        needed_by.reverse();
        let package = self.tree.nodes[ROOT].edges.get(index).map_or("", |edge| edge.name).to_owned();
        SolveError { package, needed_by, problem }
    }

    /// The lock of what is reached from the project.
    fn finish(self) -> Lock {
        let mut reached = BTreeMap::new();
        let mut stack = vec![ROOT];
        while let Some(id) = stack.pop() {
            let node = &self.tree.nodes[id];
            if let Some(chosen) = &node.chosen
                && reached.insert(node.path.clone(), lay(chosen)).is_some()
            {
                continue;
            }
            stack.extend(node.edges.iter().filter_map(|edge| edge.to));
        }
        Lock::new(self.wanted.clone(), reached)
    }
}

/// A packument may be served under another name than it has inside; what counts is what was asked for.
fn lay(chosen: &Chosen<'_>) -> Package {
    Package { name: chosen.name.clone(), ..chosen.package.clone() }
}
