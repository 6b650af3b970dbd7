//! A specifier and its importer in, a path of the virtual file system out.
