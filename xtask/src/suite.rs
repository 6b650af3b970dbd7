//! Runs checks and test runners one after another and adds up what came of them.
//!
//! A failing one doesn't stop the others: one run tells everything. The last
//! line is `N passed, N failed`, for scripts.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::count::Count;
use crate::process::{Finished, capture, duration};

/// Steps that have run.
#[derive(Default)]
pub struct Suite {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    time: Duration,
    count: Count,
}

impl Suite {
    /// Work that is right or wrong as a whole; whether it is right.
    pub fn check(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<()>) -> bool {
        let start = Instant::now();
        let result = work();
        let good = result.is_ok();
        if let Err(error) = result {
            println!("{name}: {error:#}");
        }
        self.rows.push(Row { name, time: start.elapsed(), count: one(good) });
        good
    }

    /// What others need first: no result of its own unless it fails.
    pub fn prepare(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<()>) -> bool {
        let good = self.check(name, work);
        if good {
            self.rows.last_mut().expect("`check` adds a row").count = Count::default();
        }
        good
    }

    /// A program that is right or wrong as a whole.
    pub fn program(&mut self, name: &'static str, command: &mut Command) {
        self.observe(name, command, |finished| one(finished.success));
    }

    /// A program that runs tests and prints how many passed.
    pub fn runner(&mut self, name: &'static str, command: &mut Command, read: fn(&str) -> Count) {
        self.observe(name, command, |Finished { success, text }| {
            let count = read(text);
            // It may have failed before its tests, or beside them.
            if *success { count } else { Count { failed: count.failed.max(1), ..count } }
        });
    }

    fn observe(&mut self, name: &'static str, command: &mut Command, judge: impl FnOnce(&Finished) -> Count) {
        let start = Instant::now();
        let count = match capture(name, command) {
            Ok(finished) => {
                if !finished.success {
                    println!("{}", finished.text);
                }
                judge(&finished)
            }
            Err(error) => {
                println!("{name}: {error:#}");
                one(false)
            }
        };
        self.rows.push(Row { name, time: start.elapsed(), count });
    }

    /// Prints how long each took, and the sum.
    pub fn finish(&self) -> ExitCode {
        println!();
        for Row { name, time, count } in &self.rows {
            let failed = if count.failed > 0 { format!(", {} FAILED", count.failed) } else { String::new() };
            println!("{:>14}  {name}: {} passed{failed}", duration(*time), count.passed);
        }
        let whole: Duration = self.rows.iter().map(|row| row.time).sum();
        println!("{:>14}  in all", duration(whole));
        let count = self.rows.iter().fold(Count::default(), |sum, row| sum.plus(row.count));
        if count == Count::default() {
            println!("nothing has such a name");
        }
        println!("{} passed, {} failed", count.passed, count.failed);
        if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn one(good: bool) -> Count {
    Count { passed: u32::from(good), failed: u32::from(!good) }
}
