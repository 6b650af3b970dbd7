//! The VMM as its users see it. What needs a KVM that runs Linux is in `lab`.

mod lab;
