//! What can go wrong, and the exit code that scripts see.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The relay answered, and said no.
    Refused(String),
    /// The command cannot be meant: a bad argument, an unreadable file, no terminal.
    Usage(String),
    /// No relay answered, or what answered is none.
    Unreachable(String),
    /// Standard output or the terminal failed.
    Output(io::Error),
}

impl Failure {
    /// 1 relay refused, 2 usage, 3 relay unreachable; a closed pipe is no failure.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_) | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }

    /// Whether a person should read of it: `patchctl calls | head` needs no complaint.
    pub(crate) fn is_worth_a_line(&self) -> bool {
        !matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The same failure, with what to do about it.
    pub(crate) fn advise(self, advice: &str) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!("{why}\n{advice}")),
            Self::Usage(_) | Self::Unreachable(_) | Self::Output(_) => self,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Usage(why) | Self::Unreachable(why) => f.write_str(why),
            Self::Output(error) => write!(f, "cannot write the answer: {error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let code = |failure: Failure| format!("{:?}", failure.exit_code());
        let expected = |code: u8| format!("{:?}", ExitCode::from(code));
        assert_eq!(code(Failure::Refused(String::new())), expected(1));
        assert_eq!(code(Failure::Usage(String::new())), expected(2));
        assert_eq!(code(Failure::Unreachable(String::new())), expected(3));
        assert_eq!(
            code(Failure::Output(io::ErrorKind::StorageFull.into())),
            expected(1)
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(
            format!("{:?}", failure.exit_code()),
            format!("{:?}", ExitCode::SUCCESS)
        );
        assert!(!failure.is_worth_a_line());
    }

    #[test]
    fn only_a_refusal_takes_advice() {
        let advised = |failure: Failure| failure.advise("do that").to_string();
        assert_eq!(advised(Failure::Refused("no".into())), "no\ndo that");
        assert_eq!(advised(Failure::Unreachable("gone".into())), "gone");
    }
}
