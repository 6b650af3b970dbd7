//! One fetch for any number of callers who want the same thing at once.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

type Running<T> = Arc<Mutex<HashMap<String, Shared<BoxFuture<'static, Option<T>>>>>>;

/// Work under way, by key.
pub struct Flights<T: Clone> {
    running: Running<T>,
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Joins the work of this key, or starts it. It runs to its end even if every caller goes away.
    /// `None` only if the work panicked.
    pub async fn join<F>(&self, key: &str, work: impl FnOnce() -> F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let flight = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            match running.get(key) {
                Some(flight) => flight.clone(),
                None => {
                    let flight = self.start(key.to_owned(), work());
                    running.insert(key.to_owned(), flight.clone());
                    flight
                }
            }
        };
        flight.await
    }

    fn start<F>(&self, key: String, work: F) -> Shared<BoxFuture<'static, Option<T>>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let landing = Landing { running: Arc::clone(&self.running), key };
        let task = tokio::spawn(async move {
            let _landing = landing;
            work.await
        });
        task.map(Result::ok).boxed().shared()
    }
}

/// Takes a flight off the table when it ends, however it ends.
struct Landing<T: Clone> {
    running: Running<T>,
    key: String,
}

impl<T: Clone> Drop for Landing<T> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
