//! What every handler shares.

use std::sync::Arc;

use crate::chunks::Chunks;
use crate::config::Config;
use crate::npm::cache::Cache;
use crate::npm::{Npm, Source};
use crate::origins::Origins;
use crate::site::Sites;

/// The server's parts. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Which host name is which site.
    pub origins: Arc<Origins>,
    /// Static files and security headers.
    pub sites: Arc<Sites>,
    /// Packages.
    pub npm: Npm,
    /// Chunks built of packages.
    pub chunks: Chunks,
}

impl App {
    /// Puts the parts together; `source` says where npm's configuration is.
    pub fn new(config: &Config, source: Source) -> Self {
        let cache = Arc::new(Cache::new(config.cache.clone(), config.cache_bytes));
        let npm = Npm::new(source, config.limits.clone(), Arc::clone(&cache));
        Self {
            origins: Arc::new(config.origins.clone()),
            sites: Arc::new(Sites::new(&config.site, &config.origins, config.policies.clone())),
            chunks: Chunks::new(npm.clone(), cache, config.builds),
            npm,
        }
    }
}
