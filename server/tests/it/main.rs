//! Integration tests: one binary, through the router, with a real index, real files and a real clock that tests can move.

mod architecture;
mod bad_input;
mod expiry;
mod images;
mod lists;
mod pages;
mod real_models;
mod rekognition;
mod restart;
mod s3;
mod storage_contract;
mod support;
mod upload;
