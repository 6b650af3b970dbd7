//! A microVM on KVM.
