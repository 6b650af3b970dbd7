//! Linux guests, which need hardware-assisted KVM: run by the lab, with the guest's files in the environment.

mod boot;
