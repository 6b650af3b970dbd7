//! Where a package goes: as high as it can without coming between others and what they need.

use super::attempt::Attempt;
use super::pick::Pick;
use super::tree::{Chosen, Id, Kind, ROOT};
use crate::package::Package;
use crate::spec::Spec;

/// Why a package can't go into a folder.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Another version is there, or one that the folder's own package expects as its peer.
    Taken(Option<Id>),
    /// These would find it and can't use it.
    Breaks(Vec<(Id, usize)>),
    /// It would find a peer that it can't use.
    Peer { spec: Spec, found: Id },
    /// An earlier attempt came to nothing with it.
    Forbidden,
}

impl<'a> Attempt<'a> {
    /// The highest folder from `deepest` upwards, without a gap. Others give way
    /// only in the deepest one, where there is no choice.
    pub(super) fn place(&mut self, deepest: Id, name: &'a str, chosen: &Chosen<'a>) -> Result<Id, Obstacle> {
        self.obstacle(deepest, name, chosen, Self::immovable)?;
        let mut place = deepest;
        while place != ROOT {
            let above = self.tree.nodes[place].parent;
            if self.obstacle(above, name, chosen, Self::broken).is_err() {
                break;
            }
            place = above;
        }
        Ok(place)
    }

    fn obstacle(
        &mut self,
        folder: Id,
        name: &'a str,
        chosen: &Chosen<'a>,
        in_the_way: impl Fn(&Self, Id, &str, &Chosen<'_>) -> Vec<(Id, usize)>,
    ) -> Result<(), Obstacle> {
        let node = &self.tree.nodes[folder];
        if let Some(there) = node.children.get(name) {
            return Err(Obstacle::Taken(Some(*there)));
        }
        if node.edges.iter().any(|edge| edge.name == name && edge.kind.is_peer()) {
            return Err(Obstacle::Taken(self.tree.lookup(folder, name)));
        }
        if self.market.repairs.forbidden.contains(&(node.path.clone(), name.to_owned())) {
            return Err(Obstacle::Forbidden);
        }
        let broken = in_the_way(self, folder, name, chosen);
        if !broken.is_empty() {
            return Err(Obstacle::Breaks(broken));
        }
        if chosen.lenient {
            return Ok(());
        }
        self.peers_fit(folder, chosen.package)
    }

    /// Edges that lead past the folder and would end in it, at something they can't use.
    fn broken(&self, folder: Id, name: &str, chosen: &Chosen<'_>) -> Vec<(Id, usize)> {
        let passing = self.tree.lookup(folder, name).map(|above| &self.tree.nodes[above].incoming);
        let open = self.tree.open_peers.get(name);
        let edges = passing.into_iter().chain(open).flatten().copied();
        edges.filter(|edge| self.tree.is_within(edge.0, folder)).filter(|edge| !self.takes(*edge, chosen)).collect()
    }

    /// Those of them that can't have a version of their own instead: peers, and
    /// what the folder's own package needs.
    fn immovable(&self, folder: Id, name: &str, chosen: &Chosen<'_>) -> Vec<(Id, usize)> {
        let mut broken = self.broken(folder, name, chosen);
        broken.retain(|edge| edge.0 == folder || self.tree.edge(*edge).kind.is_peer());
        broken
    }

    /// Whether a package's peers are there, or can be put into the same folder.
    fn peers_fit(&mut self, folder: Id, package: &'a Package) -> Result<(), Obstacle> {
        for (name, text) in &package.peer_dependencies {
            let Ok(spec) = Spec::parse(name, text) else { continue };
            let Some(found) = self.tree.lookup(folder, name) else { continue };
            if self.meets(&spec, found) || self.fits_between(folder, name, &spec, found) {
                continue;
            }
            return Err(Obstacle::Peer { spec, found });
        }
        Ok(())
    }

    /// Whether a peer could be put into a folder in front of the one that is found from there.
    fn fits_between(&mut self, folder: Id, name: &str, spec: &Spec, found: Id) -> bool {
        let node = &self.tree.nodes[folder];
        let own = node.edges.iter().any(|edge| edge.name == name && edge.kind.is_peer());
        if self.tree.nodes[found].parent == folder || own {
            return false;
        }
        match self.market.pick(spec, false) {
            Pick::Chosen(chosen) => self.immovable(folder, name, &chosen).is_empty(),
            Pick::Needs => {
                self.needs.insert(spec.name.clone());
                true
            }
            Pick::Problem(_) => false,
        }
    }

    /// Whether a package in the tree meets a demand.
    pub(super) fn meets(&self, spec: &Spec, id: Id) -> bool {
        self.tree.nodes[id].chosen.as_ref().is_some_and(|chosen| self.market.fits(spec, chosen))
    }

    /// Whether an edge can lead to a package.
    fn takes(&self, edge: (Id, usize), chosen: &Chosen<'_>) -> bool {
        let spec = &self.tree.edge(edge).spec;
        spec.as_ref().is_ok_and(|spec| self.market.fits(spec, chosen)) || self.is_lenient(edge)
    }

    /// The same for a package in the tree.
    pub(super) fn links(&self, edge: (Id, usize), id: Id) -> bool {
        self.tree.nodes[id].chosen.as_ref().is_some_and(|chosen| self.takes(edge, chosen))
    }

    /// Whether an edge is a peer that may be anything.
    fn is_lenient(&self, edge: (Id, usize)) -> bool {
        let lenient = self.tree.nodes[edge.0].chosen.as_ref().is_some_and(|chosen| chosen.lenient);
        lenient && self.tree.edge(edge).kind.is_peer()
    }

    /// Puts a package into a folder and leads to it whatever finds it from now on.
    pub(super) fn settle(&mut self, folder: Id, name: &'a str, chosen: Chosen<'a>, cause: (Id, usize)) -> Id {
        let above = self.tree.lookup(folder, name);
        let passing = above.map(|above| self.tree.nodes[above].incoming.clone()).unwrap_or_default();
        let id = self.tree.add(folder, name, chosen, cause);
        for edge in passing {
            if !self.tree.is_within(edge.0, folder) {
                continue;
            }
            if self.links(edge, id) {
                self.tree.link(edge, id);
            } else {
                self.tree.unlink(edge);
                self.enqueue(edge.0);
            }
        }
        let open = self.tree.open_peers.remove(name).unwrap_or_default();
        let (reached, still): (Vec<_>, Vec<_>) = open.into_iter().partition(|edge| self.tree.is_within(edge.0, folder));
        reached.into_iter().for_each(|edge| self.tree.link(edge, id));
        if !still.is_empty() {
            self.tree.open_peers.insert(name, still);
        }
        self.link_known(id);
        id
    }

    /// Lets a new package's edges lead to what is there already.
    fn link_known(&mut self, id: Id) {
        for index in 0..self.tree.nodes[id].edges.len() {
            let edge = &self.tree.nodes[id].edges[index];
            let (name, kind) = (edge.name, edge.kind);
            let found = self.tree.lookup(id, name);
            if edge.spec.is_err() {
                continue;
            }
            match found {
                Some(found) if self.links((id, index), found) => self.tree.link((id, index), found),
                Some(_) => {}
                None if matches!(kind, Kind::Peer | Kind::OptionalPeer) => {
                    self.tree.open_peers.entry(name).or_default().push((id, index));
                }
                None => {}
            }
        }
    }
}
