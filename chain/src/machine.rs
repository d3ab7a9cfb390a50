//! The shape that all machines share, so that one shell can restore, drive and save each of them.

use streamchain_protocol::time::UnixMs;

use crate::ethereum::{Answer, Request, RpcError};
use crate::journal::Row;

/// What the owner of a machine must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<Task> {
    /// Write these rows, all or none, before asking for the next command. If that fails, drop the machine and
    /// restore it from what is saved.
    Save(Vec<Row>),
    /// Ask a node, and give the outcome to [`Machine::handle_answer`].
    Call(Request),
    /// The node gave an answer that cannot be true: ask another one from now on, if there is one.
    Distrust(String),
    /// Do what only this machine asks for.
    Do(Task),
}

/// A machine that is driven by its owner.
pub trait Machine {
    /// What it asks for beside rows and answers of nodes.
    type Task;

    /// The owner lost track of a command (it was interrupted): the pass begins again.
    fn handle_interruption(&mut self);

    /// When to call [`Self::next_command`] again; `None` means only after something new was handed over.
    fn poll_timeout(&self, now: UnixMs) -> Option<UnixMs>;

    /// Returns what to do now; `None` means nothing before [`Self::poll_timeout`], or before the outcome of the last
    /// command.
    fn next_command(&mut self, now: UnixMs) -> Option<Command<Self::Task>>;

    /// Takes in the outcome of the last [`Command::Call`].
    fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now: UnixMs);
}
