//! Stand-ins for AWS that are as strict as the real services: S3 within this process or by moto,
//! and Rekognition.

pub mod aws;
pub mod rekognition_server;
