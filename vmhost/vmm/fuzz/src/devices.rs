//! Each device as the hostile guest meets it.

mod balloon;
mod echo;
mod entropy;

pub use balloon::Balloon;
pub use echo::Echo;
pub use entropy::Entropy;
