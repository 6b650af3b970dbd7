//! Builds of whole projects: files and edits in; diagnostics, documents and changes out.

mod changes;
mod diagnostics;
mod documents;
mod harness;
mod packages;
mod responses;
