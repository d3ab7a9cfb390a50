//! Exit codes.

use std::process::ExitCode;
use streamchain_client::core::{Failure, Fatal};

/// How a command ended, other than well.
#[derive(Debug)]
pub(crate) enum Exit {
    /// Code 1: the edge refused, or the answer is no.
    Refused(String),
    /// Code 2: it could not be done: nobody answers, or the input can't be read.
    NotDone(String),
    /// Code 0: who read the output has gone, as `head` does.
    OutputClosed,
}

/// The exit codes, as help texts and docs/CLI.md have them.
pub(crate) const EXIT_CODES: &str = "\
EXIT CODES
    0  done
    1  refused: the edge said no, for example because you have no right or there is no such stream
    2  not done: wrong arguments, unreadable input, or nobody answered";

impl Exit {
    /// The same, of one of several streams.
    pub(crate) fn of(self, stream: &str) -> Self {
        match self {
            Self::Refused(text) => Self::Refused(format!("{stream}: {text}")),
            Self::NotDone(text) => Self::NotDone(format!("{stream}: {text}")),
            Self::OutputClosed => Self::OutputClosed,
        }
    }

    /// What people are told of it.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::NotDone(text) => text,
            Self::OutputClosed => "the reader of the output has gone",
        }
    }
}

impl From<Failure> for Exit {
    fn from(failure: Failure) -> Self {
        match failure.is_final() || is_no(&failure) {
            true => Self::Refused(failure.to_string()),
            false => Self::NotDone(failure.to_string()),
        }
    }
}

/// A refusal that is an answer, such as a conflict, and no sign that the edge is busy.
fn is_no(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { status, .. } if (400..500).contains(status) && *status != 408 && *status != 429)
}

impl From<Fatal> for Exit {
    fn from(fatal: Fatal) -> Self {
        match fatal {
            Fatal::System(_) | Fatal::Protocol(_) => Self::NotDone(fatal.to_string()),
            Fatal::Refused(failure) => failure.into(),
            Fatal::NotAllowed(_)
            | Fatal::TooLarge(_)
            | Fatal::StreamLost
            | Fatal::ChainLost
            | Fatal::OtherMessages(_) => Self::Refused(fatal.to_string()),
        }
    }
}

impl From<std::io::Error> for Exit {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::NotDone(error.to_string()),
        }
    }
}

/// Says what went wrong, if it did, and returns the code.
pub(crate) fn report(ended: Result<(), Exit>) -> ExitCode {
    let (code, exit) = match ended {
        Ok(()) | Err(Exit::OutputClosed) => return ExitCode::SUCCESS,
        Err(exit @ Exit::Refused(_)) => (1, exit),
        Err(exit @ Exit::NotDone(_)) => (2, exit),
    };
    eprintln!("streamchain: {}", relay_node::printable(exit.text()));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Exit {
        Exit::from(Failure::Refused {
            status,
            slug: String::new(),
            detail: String::new(),
            retry_ms: None,
            stored: None,
        })
    }

    #[test]
    fn a_no_is_told_from_silence() {
        for status in [400, 401, 403, 404, 409] {
            assert!(matches!(refused(status), Exit::Refused(_)), "{status}");
        }
        for status in [408, 429, 500, 502, 503] {
            assert!(matches!(refused(status), Exit::NotDone(_)), "{status}");
        }
        assert!(matches!(Exit::from(Fatal::StreamLost), Exit::Refused(_)));
        assert!(matches!(
            Exit::from(Failure::NoEdge(String::new())),
            Exit::NotDone(_)
        ));
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(matches!(Exit::from(closed), Exit::OutputClosed));
    }
}
