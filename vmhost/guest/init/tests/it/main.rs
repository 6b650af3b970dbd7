//! The verbs as a peer sees them: the program runs as an ordinary process on a unix socket, lines
//! go in, lines come out.

mod guest;
mod streams;
mod verbs;
