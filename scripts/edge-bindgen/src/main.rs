//! Makes a module of JavaScript around the Worker's WebAssembly, as the command `wasm-bindgen --target module` does, of
//! which this is the part that the build needs: `edge-bindgen MODULE.wasm FOLDER` writes `index.js` and `index_bg.wasm`.

use anyhow::Context;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let usage = "usage: edge-bindgen MODULE.wasm FOLDER";
    let module = args.next().context(usage)?;
    let folder = args.next().context(usage)?;
    Bindgen::new()
        .module(true)?
        .input_path(module)
        .out_name("index")
        .typescript(false)
        // What the entry needs to begin anew after a panic: src/entry.mjs.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate(folder)
}
