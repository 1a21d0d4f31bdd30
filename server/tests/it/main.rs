//! Integration tests: one binary, through the router, with a real index, real files and a real clock that tests can move.

mod architecture;
mod bad_input;
mod color;
mod expiry;
mod images;
mod lists;
mod made;
mod metadata;
mod orientation;
mod pages;
mod profile;
mod real_models;
mod restart;
mod support;
mod upload;
