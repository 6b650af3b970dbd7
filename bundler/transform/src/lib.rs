//! One source file in, one linked module out.
