//! Which declaration a name means at the place that is being visited.
//!
//! Only names that are rewritten somewhere are followed: imports, and members of
//! TypeScript's namespaces and enums. Any other declaration of such a name merely
//! hides it for as long as its scope is open.

use rustc_hash::FxHashMap;
use swc_atoms::Atom;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Binding {
    /// An import, by its number among the local names of imports.
    Import(u32),
    /// A member of an object: an exported variable of a namespace, a member of an enum.
    Member(Atom),
    /// An alias made by TypeScript's `import =`, by its number.
    Alias(u32),
    /// The `require` that nothing declares.
    Require,
    /// Something of the code's own, left as it is.
    Local,
}

/// The names in scope.
#[derive(Default)]
pub(crate) struct Bindings {
    names: FxHashMap<Atom, Vec<Binding>>,
    /// The names of each open scope.
    scopes: Vec<Vec<Atom>>,
}

impl Bindings {
    /// Whether no name is of interest at all, so that no scope has to be looked into.
    pub(crate) fn is_idle(&self) -> bool {
        self.names.is_empty()
    }

    /// Opens a scope.
    pub(crate) fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }

    /// Closes the scope that was opened last.
    pub(crate) fn leave(&mut self) {
        for name in self.scopes.pop().unwrap_or_default() {
            if let Some(stack) = self.names.get_mut(&name) {
                stack.pop();
            }
        }
    }

    /// Declares a name in the open scope that is followed from here on.
    pub(crate) fn declare(&mut self, name: &Atom, binding: Binding) {
        self.names.entry(name.clone()).or_default().push(binding);
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name.clone());
        }
    }

    /// Declares a name of the code's own, which hides what else it means.
    pub(crate) fn hide(&mut self, name: &Atom) {
        if let Some(stack) = self.names.get_mut(name) {
            stack.push(Binding::Local);
            if let Some(scope) = self.scopes.last_mut() {
                scope.push(name.clone());
            }
        }
    }

    /// What a name means here; nothing for globals and names that aren't followed.
    pub(crate) fn get(&self, name: &Atom) -> Option<&Binding> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(name)?.last()
    }
}
