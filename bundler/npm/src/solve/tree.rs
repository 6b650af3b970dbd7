//! The tree of packages being laid out, and Node's lookup in it.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::package::Package;
use crate::semver::Version;
use crate::spec::{Spec, SpecError};

/// A package's index in the tree.
pub(super) type Id = usize;
/// The project itself.
pub(super) const ROOT: Id = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Required,
    Optional,
    Peer,
    /// May be missing, but must fit if it is there.
    OptionalPeer,
}

impl Kind {
    pub(super) fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::OptionalPeer)
    }
}

/// One dependency of one package.
#[derive(Debug)]
pub(super) struct Edge<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) spec: Result<Spec, SpecError>,
    /// What it leads to.
    pub(super) to: Option<Id>,
}

/// A package in its folder.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// `node_modules/a/node_modules/b`; empty for the project.
    pub(super) path: String,
    pub(super) depth: usize,
    pub(super) parent: Id,
    /// What is needed to be the same package again; the project has none.
    pub(super) chosen: Option<Chosen<'a>>,
    pub(super) children: BTreeMap<&'a str, Id>,
    pub(super) edges: Vec<Edge<'a>>,
    /// Edges that lead here: whose, which.
    pub(super) incoming: Vec<(Id, usize)>,
    /// The edge that it was laid out for.
    pub(super) cause: (Id, usize),
}

/// A version that was picked.
#[derive(Debug, Clone)]
pub(super) struct Chosen<'a> {
    /// The real name.
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) package: &'a Package,
    /// Taken over from the lock there was.
    pub(super) locked: bool,
    /// Made for a system that no browser is.
    pub(super) foreign: bool,
    /// Whatever it finds of its peers will do.
    pub(super) lenient: bool,
}

impl Chosen<'_> {
    pub(super) fn shown(&self) -> String {
        format!("{}@{}", self.name, self.package.version)
    }
}

/// All packages. The project is the first.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Edges to peers that are nowhere yet, by name: nothing may be put in
    /// their way that they couldn't use.
    pub(super) open_peers: FxHashMap<&'a str, Vec<(Id, usize)>>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(wanted: &'a BTreeMap<String, String>) -> Self {
        let edges = wanted.iter().map(|(name, text)| edge(name, text, Kind::Required)).collect();
        let root = Node {
            path: String::new(),
            depth: 0,
            parent: ROOT,
            chosen: None,
            children: BTreeMap::new(),
            edges,
            incoming: Vec::new(),
            cause: (ROOT, 0),
        };
        Self { nodes: vec![root], open_peers: FxHashMap::default() }
    }

    /// What a package finds under a name.
    pub(super) fn lookup(&self, from: Id, name: &str) -> Option<Id> {
        let mut at = from;
        loop {
            if let Some(found) = self.nodes[at].children.get(name) {
                return Some(*found);
            }
            if at == ROOT {
                return None;
            }
            at = self.nodes[at].parent;
        }
    }

    /// Whether a package lies in the folder of another, or is it.
    pub(super) fn is_within(&self, mut id: Id, folder: Id) -> bool {
        while self.nodes[id].depth > self.nodes[folder].depth {
            id = self.nodes[id].parent;
        }
        id == folder
    }

    /// `name@version`, or what the project is called in messages.
    pub(super) fn shown(&self, id: Id) -> String {
        self.nodes[id].chosen.as_ref().map_or_else(|| "package.json".to_owned(), Chosen::shown)
    }

    pub(super) fn edge(&self, (id, index): (Id, usize)) -> &Edge<'a> {
        &self.nodes[id].edges[index]
    }

    /// Lets an edge lead to a package.
    pub(super) fn link(&mut self, edge: (Id, usize), to: Id) {
        self.unlink(edge);
        self.nodes[edge.0].edges[edge.1].to = Some(to);
        self.nodes[to].incoming.push(edge);
    }

    /// Lets an edge lead nowhere.
    pub(super) fn unlink(&mut self, edge: (Id, usize)) {
        if let Some(old) = self.nodes[edge.0].edges[edge.1].to.take() {
            self.nodes[old].incoming.retain(|incoming| *incoming != edge);
        }
    }

    /// Puts a package in the folder of another.
    pub(super) fn add(&mut self, parent: Id, name: &'a str, chosen: Chosen<'a>, cause: (Id, usize)) -> Id {
        let id = self.nodes.len();
        let base = &self.nodes[parent];
        let slash = if base.path.is_empty() { "" } else { "/" };
        let node = Node {
            path: format!("{}{slash}node_modules/{name}", base.path),
            depth: base.depth + 1,
            parent,
            edges: edges(chosen.package),
            chosen: Some(chosen),
            children: BTreeMap::new(),
            incoming: Vec::new(),
            cause,
        };
        self.nodes.push(node);
        self.nodes[parent].children.insert(name, id);
        id
    }
}

/// A package's dependencies in order of names.
fn edges(package: &Package) -> Vec<Edge<'_>> {
    let required = package.dependencies.iter().map(|(name, text)| edge(name, text, Kind::Required));
    let optional = package.optional_dependencies.iter().map(|(name, text)| edge(name, text, Kind::Optional));
    let peers = package.peer_dependencies.iter().map(|(name, text)| {
        let kind = if package.optional_peers.contains(name) { Kind::OptionalPeer } else { Kind::Peer };
        edge(name, text, kind)
    });
    let mut edges: Vec<_> = required.chain(optional).chain(peers).collect();
    edges.sort_by_key(|edge| edge.name);
    edges
}

fn edge<'a>(name: &'a str, text: &str, kind: Kind) -> Edge<'a> {
    Edge { name, kind, spec: Spec::parse(name, text), to: None }
}
