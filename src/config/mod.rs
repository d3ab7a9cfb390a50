//! The settings of a deployment. Every error names the variable.

pub mod chain;
pub mod edge;
pub mod env;

pub use edge::Config;
