//! Makes the JavaScript that loads the browser's half, and the WASM that fits it.
//!
//! `glue FILE FOLDER` reads the compiled `frontend` and writes `cattocdn.js` and
//! `cattocdn_bg.wasm`. The command `wasm-bindgen` does the same with the same library, but most of
//! what must be compiled for it belongs to its runner of tests. As a part of the workspace this one
//! has its version beside that of `wasm-bindgen` itself, and the two can never differ.

use std::env;

use anyhow::bail;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let (Some(wasm), Some(folder), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: glue FILE FOLDER");
    };
    Bindgen::new()
        .input_path(wasm)
        .web(true)?
        .omit_default_module_path(false)
        .out_name("cattocdn")
        .generate(folder)
}
