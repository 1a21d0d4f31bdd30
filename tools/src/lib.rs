//! What the development tools share with the server's tests: stand-ins for AWS, and a model of
//! caches.

pub mod caches;
pub mod stand_ins;
