//! Bytes of a project in, documents, modules and hot updates out.
