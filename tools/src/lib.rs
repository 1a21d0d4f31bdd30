//! What the development tools share with the server's tests: stand-ins for AWS, and a model of caches
//! and of their keys.

pub mod caches;
pub mod keys;
pub mod stand_ins;
