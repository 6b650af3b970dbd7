//! The device against a model of a driver and real unix sockets.

mod connect;
mod end;
mod flow;
mod generation;
mod guest;
mod hostile;
