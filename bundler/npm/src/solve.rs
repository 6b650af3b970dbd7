//! Dependency ranges to a lock, in npm's layout.
//!
//! In:  what `package.json` asks for, the lock there was, the packuments so far
//! Out: the names of packuments needed next, or a lock, or what stands against one
//!
//! A tree is laid out breadth-first in sorted order ([`attempt`]). Where it
//! comes to a contradiction that another choice could resolve, that choice is
//! noted as a [`Repair`] and the tree is laid out anew: repairs only ever add
//! up, so this ends. Nothing is kept between calls: the same inputs give the
//! same lock, whatever was asked before.

mod attempt;
mod pick;
mod place;
mod problem;
mod repair;
mod tree;

use std::collections::BTreeMap;

use crate::lock::Lock;
use crate::packument::PackumentState;
use attempt::{Attempt, Ran};
pub use problem::{Problem, SolveError};
use repair::Repairs;

/// Trees laid out before giving up. Real projects need one or two; this bounds
/// the work that packuments made for it could cause.
const MAX_ATTEMPTS: usize = 100;

/// How far solving came.
#[derive(Debug)]
pub enum Solve {
    /// Packuments of these are needed next, all that are known to be by now.
    Needs(Vec<String>),
    /// The lock.
    Done(Lock),
    /// There is none, for these reasons.
    Failed(Vec<SolveError>),
}

/// Solves dependencies: name → range, tag or alias. What `lock` has and still
/// fits stays as it is, and needs no packument.
pub fn solve(
    wanted: &BTreeMap<String, String>,
    lock: Option<&Lock>,
    packuments: &BTreeMap<String, PackumentState>,
) -> Solve {
    let mut repairs = Repairs::default();
    for _ in 0..MAX_ATTEMPTS {
        match Attempt::new(wanted, lock, packuments, &repairs).run() {
            Ran::Needs(names) => return Solve::Needs(names.into_iter().collect()),
            Ran::Done(lock) => return Solve::Done(lock),
            Ran::Failed(errors) => return Solve::Failed(errors),
            Ran::Repair(repair) => repairs.add(repair),
        }
    }
    let package = wanted.keys().next().cloned().unwrap_or_default();
    Solve::Failed(vec![SolveError { package, needed_by: Vec::new(), problem: Problem::TooHard }])
}
