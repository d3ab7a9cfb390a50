//! The settings of a deployment. Every error names the variable.

pub(crate) mod archive;
pub(crate) mod chain;
pub(crate) mod edge;
pub(crate) mod env;

pub(crate) use edge::Config;
