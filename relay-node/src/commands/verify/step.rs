//! A step of a verdict.

/// What was found, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Holds(String),
    Fails(String),
    Note(String),
}
