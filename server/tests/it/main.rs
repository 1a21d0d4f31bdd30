//! Integration tests: one binary, through the router, with a real index, real files and a real clock that tests can move.

mod architecture;
mod bad_input;
mod expiry;
mod hostile;
mod images;
mod lists;
mod pages;
mod real_models;
mod restart;
mod support;
mod upload;
