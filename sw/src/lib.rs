//! The bundler in a worker: messages and requests in, documents and updates out.
//!
//! One [`Engine`] a worker, be it a service worker or a dedicated one. It holds
//! nothing that can't be had again: the page has the files, caches have the
//! packages. It knows no DOM, and its JavaScript side (`static/preview/`) knows
//! no module format.

mod engine;
mod npm;
mod wire;

pub use engine::Engine;
