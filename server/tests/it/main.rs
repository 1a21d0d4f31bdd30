//! Integration tests: one binary, through the router, with a real index, real files and a real clock that tests can move.

mod architecture;
mod bad_input;
mod color;
mod crash;
mod duplicates;
mod durability;
mod expiry;
mod faults;
mod images;
mod index_rebuild;
mod lists;
mod made;
mod metadata;
mod orientation;
mod pages;
mod pipeline;
mod profile;
mod real_models;
mod restart;
mod storage_contract;
mod support;
mod two_caches;
mod upload;
