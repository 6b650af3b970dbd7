//! PID 1 of the first guest.

fn main() {}
