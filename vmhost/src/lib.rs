//! The server: both origins, the npm proxy, the bundler at native speed.
