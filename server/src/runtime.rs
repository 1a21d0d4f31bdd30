//! What all other parts build on: the clock, threads for long computations, the allocator, logging,
//! and bounded memory of clients.

pub mod allocator;
pub(crate) mod causes;
pub(crate) mod client_limits;
pub mod clock;
pub(crate) mod compute;
pub mod telemetry;
