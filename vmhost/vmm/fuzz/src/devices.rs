//! Each device as the hostile guest meets it.

mod balloon;
mod block;
mod echo;
mod entropy;
mod net;
mod vsock;

pub use balloon::Balloon;
pub use block::Block;
pub use echo::Echo;
pub use entropy::Entropy;
pub use net::Net;
pub use vsock::Vsock;
