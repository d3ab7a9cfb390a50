//! The settings of a deployment. Every error names the variable.

pub(crate) mod archive;
mod batchers;
pub(crate) mod chain;
pub(crate) mod edge;
pub(crate) mod env;
mod pace;

pub(crate) use edge::{Config, is_development_chain};
