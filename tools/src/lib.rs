//! What the development tools share with the server's tests: stand-ins for AWS, a model of caches
//! and of their keys, a configuration, and a built site in small.

pub mod built_site;
pub mod caches;
pub mod config;
pub mod keys;
pub mod stand_ins;
