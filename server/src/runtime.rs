//! What every room stands on and none of them is about: the time, threads for long computing, the allocator, the log,
//! and memory of clients that is bounded.

pub mod allocator;
pub(crate) mod client_limits;
pub mod clock;
pub(crate) mod compute;
pub mod telemetry;
