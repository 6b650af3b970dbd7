//! What the transform makes of every feature of the language, and that it runs.

mod check;
mod commonjs;
mod corpus;
mod jsx;
mod maps;
mod modules;
mod problems;
mod refresh;
mod run;
mod running;
mod typescript;
