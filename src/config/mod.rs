//! The settings of a deployment. Every error names the variable.

mod batchers;
pub(crate) mod chain;
pub(crate) mod edge;
pub(crate) mod env;

pub(crate) use edge::Config;
