//! The bundler in a worker: messages and fetches in, documents and updates out.
