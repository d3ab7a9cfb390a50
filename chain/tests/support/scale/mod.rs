//! A large deployment on a virtual clock: the real batchers and the real Anchorer, streams that are numbers, and a meter
//! at each object.

pub mod costs;
pub mod meters;
pub mod world;
