//! The VMM through its surfaces.

mod control;
