//! A thread that rewrites and verifies pages without pause: the program whose memory must be
//! right when a snapshot is taken, restored or cloned under load.
//!
//! A page holds a pattern of (seed, page, generation); which generation each page has is kept
//! apart. A page that fell back to an earlier state, or that holds another one's bytes, is thus
//! found at its next turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::memory::reserve;
use super::{Args, Failure, Step as _};
use crate::Guest;
use crate::pattern::{Dice, Pattern};

const PAGE_WORDS: usize = 512;
const DEFAULT_MIB: u64 = 4;

/// The running thread.
#[derive(Debug)]
pub(crate) struct Churn {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    iterations: AtomicU64,
    errors: AtomicU64,
    /// Page number of the first error, plus one; 0 if none.
    first: AtomicU64,
}

pub(super) fn switch(guest: &Arc<Guest>, mut args: Args<'_>) -> Result<String, Failure> {
    let mut slot = guest.churn();
    match args.word("ON|OFF")? {
        "ON" | "on" if slot.is_some() => Err(Failure::Wrong("it is on already".to_owned())),
        "ON" | "on" => {
            let seed = args.number("SEED")?;
            let mib = if args.count() > 0 { args.number("MIB")?.max(1) } else { DEFAULT_MIB };
            let mut pages = Pages::new(seed, reserve(mib)?);
            let shared = Arc::new(Shared::default());
            let thread = thread::Builder::new().name("churn".to_owned()).spawn({
                let shared = Arc::clone(&shared);
                move || pages.churn(&shared)
            });
            *slot = Some(Churn { shared, thread: thread.step("start the thread")? });
            Ok(String::new())
        }
        "OFF" | "off" => {
            let Churn { shared, thread } = slot.take().ok_or_else(off)?;
            shared.stop.store(true, Ordering::Relaxed);
            thread.join().map_err(|_| Failure::Wrong("the thread panicked".to_owned()))?;
            shared.report()
        }
        word => Err(Failure::Argument { name: "ON|OFF", word: word.to_owned() }),
    }
}

pub(super) fn status(guest: &Arc<Guest>, _: Args<'_>) -> Result<String, Failure> {
    guest.churn().as_ref().ok_or_else(off)?.shared.report()
}

fn off() -> Failure {
    Failure::Wrong("it is off".to_owned())
}

impl Shared {
    fn report(&self) -> Result<String, Failure> {
        let iterations = self.iterations.load(Ordering::Relaxed);
        match self.errors.load(Ordering::Relaxed) {
            0 => Ok(format!("iterations={iterations} errors=0")),
            errors => {
                let page = self.first.load(Ordering::Relaxed).saturating_sub(1);
                Err(Failure::Wrong(format!("iterations={iterations} errors={errors} first_page={page}")))
            }
        }
    }
}

struct Pages {
    seed: u64,
    words: Vec<u64>,
    generations: Vec<u64>,
}

impl Pages {
    fn new(seed: u64, mut words: Vec<u64>) -> Self {
        let count = words.capacity() / PAGE_WORDS;
        words.resize(count * PAGE_WORDS, 0);
        let mut pages = Self { seed, words, generations: vec![0; count] };
        for page in 0..count {
            pages.write(page);
        }
        pages
    }

    /// Verifies and rewrites pages in an order of chance until told to stop, then verifies all.
    fn churn(&mut self, shared: &Shared) {
        let mut dice = Dice::new(self.seed);
        while !shared.stop.load(Ordering::Relaxed) {
            let page = dice.below(self.generations.len() as u64) as usize;
            self.verify(page, shared);
            self.generations[page] += 1;
            self.write(page);
            shared.iterations.fetch_add(1, Ordering::Relaxed);
        }
        for page in 0..self.generations.len() {
            self.verify(page, shared);
        }
    }

    fn pattern(&self, page: usize) -> Pattern {
        Pattern::new(self.seed ^ page as u64).generation(self.generations[page])
    }

    fn write(&mut self, page: usize) {
        let pattern = self.pattern(page);
        let start = page * PAGE_WORDS;
        for (word, index) in self.words[start..start + PAGE_WORDS].iter_mut().zip(0..) {
            *word = pattern.word(index);
        }
    }

    fn verify(&self, page: usize, shared: &Shared) {
        let pattern = self.pattern(page);
        let start = page * PAGE_WORDS;
        let right =
            self.words[start..start + PAGE_WORDS].iter().zip(0..).all(|(word, index)| *word == pattern.word(index));
        if !right {
            let _ = shared.first.compare_exchange(0, page as u64 + 1, Ordering::Relaxed, Ordering::Relaxed);
            shared.errors.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages, stopped before their first turn: `churn` only verifies them.
    fn errors_after(damage: impl FnOnce(&mut Pages)) -> u64 {
        let mut pages = Pages::new(1, Vec::with_capacity(8 * PAGE_WORDS));
        damage(&mut pages);
        let shared = Shared::default();
        shared.stop.store(true, Ordering::Relaxed);
        pages.churn(&shared);
        shared.errors.load(Ordering::Relaxed)
    }

    #[test]
    fn every_damage_is_found() {
        assert_eq!(errors_after(|_| {}), 0);
        assert_eq!(errors_after(|pages| pages.words[700] ^= 1), 1);
        // A page that was written but came back in its earlier state.
        assert_eq!(errors_after(|pages| pages.generations[3] += 1), 1);
        // Two pages swapped.
        assert_eq!(
            errors_after(|pages| {
                let (first, second) = pages.words.split_at_mut(PAGE_WORDS);
                first.swap_with_slice(&mut second[..PAGE_WORDS]);
            }),
            2
        );
    }
}
