//! AWS without AWS, as strict as the real one: S3 within this process or by moto, and Rekognition.

pub mod aws;
pub mod rekognition_server;
