//! The VMM from outside, against real KVM.

mod flat;
mod lab;
