//! The parts of the tests that are used here, where they expect them.

pub(crate) mod aws;
#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/it/support/rekognition_server.rs"]
pub(crate) mod rekognition_server;
