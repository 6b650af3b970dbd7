//! How a VM's process is configured and told what to do.
