//! Solves dependency ranges to a lock, fetching the packuments that the solver asks for.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bundler_npm::{Lock, MAX_PACKAGES, Packument, PackumentState, Solve, SolveError};
use futures_util::{StreamExt as _, stream};
use tracing::debug;

use super::Npm;
use super::name::PackageName;
use crate::error::ApiError;

/// Packuments fetched at once.
const PARALLEL: usize = 16;

impl Npm {
    /// The lock of these dependencies.
    ///
    /// # Errors
    /// 422 with every reason if there is none; 502 or 504 if that is the registry's fault.
    pub async fn lock(&self, dependencies: BTreeMap<String, String>) -> Result<Lock, ApiError> {
        let mut known = BTreeMap::new();
        let mut trouble = None;
        loop {
            let asked = dependencies.clone();
            let solving = tokio::task::spawn_blocking(move || (bundler_npm::solve(&asked, None, &known), known)).await;
            let (solved, packuments) = solving.map_err(|_| ApiError::internal("solving broke off"))?;
            known = packuments;
            match solved {
                Solve::Done(lock) => return Ok(lock),
                Solve::Failed(errors) => {
                    return Err(trouble.unwrap_or_else(|| unsolved(&errors)));
                }
                Solve::Needs(names) => {
                    let before = known.len();
                    if before + names.len() > MAX_PACKAGES {
                        return Err(too_many());
                    }
                    debug!(count = names.len(), "packuments needed");
                    self.supply(names, &mut known, &mut trouble).await;
                    if known.len() == before {
                        return Err(ApiError::internal("solving does not get on"));
                    }
                }
            }
        }
    }

    /// Fetches packuments; the first failure of the registry itself goes to `trouble`.
    async fn supply(
        &self,
        names: Vec<String>,
        known: &mut BTreeMap<String, PackumentState>,
        trouble: &mut Option<ApiError>,
    ) {
        let fetches = names.into_iter().map(|name| async move {
            let state = self.state(&name).await;
            (name, state)
        });
        let mut fetched = stream::iter(fetches).buffer_unordered(PARALLEL);
        while let Some((name, state)) = fetched.next().await {
            let state = state.unwrap_or_else(|error| {
                let text = error.to_string();
                trouble.get_or_insert(error);
                PackumentState::Failed(text)
            });
            known.insert(name, state);
        }
    }

    async fn state(&self, name: &str) -> Result<PackumentState, ApiError> {
        // A name that is none can't be published, so nobody has it.
        let Ok(name) = name.parse::<PackageName>() else { return Ok(PackumentState::Missing) };
        let entry = match self.packument(&name).await {
            Ok(entry) => entry,
            Err(error) if error.status == StatusCode::NOT_FOUND => return Ok(PackumentState::Missing),
            Err(error) => return Err(error),
        };
        let parsed = self.on_disk(move |_| Packument::parse(&entry.body).map_err(|error| error.to_string())).await?;
        Ok(parsed.map_or_else(PackumentState::Failed, PackumentState::Found))
    }
}

/// Every reason, and what to do about each.
fn unsolved(errors: &[SolveError]) -> ApiError {
    let lines = |text: fn(&SolveError) -> String| {
        let mut lines: Vec<String> = errors.iter().map(text).collect();
        lines.dedup();
        lines.join("\n")
    };
    let (error, remedy) = (lines(SolveError::message), lines(SolveError::remedy));
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, remedy)
}

/// Packuments are asked for before a tree is known to be too large, and kept in memory until it is.
fn too_many() -> ApiError {
    let error = format!("The dependencies come to more than {MAX_PACKAGES} packages.");
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error, "Use fewer dependencies.")
}
