//! libFuzzer over one target, which the variable `FUZZ_TARGET` names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use streamchain_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Option<&'static Target>> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name)
});

fuzz_target!(|bytes: &[u8]| {
    match *TARGET {
        Some(target) => (target.run)(bytes),
        None => {
            eprintln!("FUZZ_TARGET names no target: npm run fuzz -- --help lists them.");
            std::process::exit(2);
        }
    }
});
