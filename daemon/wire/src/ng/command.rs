//! The command words of the NG protocol.

use crate::ng::spelling::Table;

/// A command word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each variant is its command word, see `as_str`"
)]
pub enum Command {
    Ping,
    Offer,
    Answer,
    Delete,
    Query,
    List,
    Statistics,
    Cli,
    StartRecording,
    StopRecording,
    PauseRecording,
    StartForwarding,
    StopForwarding,
    BlockMedia,
    UnblockMedia,
    BlockDtmf,
    UnblockDtmf,
    SilenceMedia,
    UnsilenceMedia,
    PlayMedia,
    StopMedia,
    PlayDtmf,
    Publish,
    SubscribeRequest,
    SubscribeAnswer,
    Unsubscribe,
    Connect,
    Mesh,
    InjectStart,
    InjectStop,
    Create,
    CreateAnswer,
    Transform,
}

static WORDS: Table<Command, 128> = Table::new(&[
    ("ping", Command::Ping),
    ("offer", Command::Offer),
    ("answer", Command::Answer),
    ("delete", Command::Delete),
    ("query", Command::Query),
    ("list", Command::List),
    ("statistics", Command::Statistics),
    ("cli", Command::Cli),
    ("start-recording", Command::StartRecording),
    ("stop-recording", Command::StopRecording),
    ("pause-recording", Command::PauseRecording),
    ("start-forwarding", Command::StartForwarding),
    ("stop-forwarding", Command::StopForwarding),
    ("block-media", Command::BlockMedia),
    ("unblock-media", Command::UnblockMedia),
    ("block-dtmf", Command::BlockDtmf),
    ("unblock-dtmf", Command::UnblockDtmf),
    ("silence-media", Command::SilenceMedia),
    ("unsilence-media", Command::UnsilenceMedia),
    ("play-media", Command::PlayMedia),
    ("stop-media", Command::StopMedia),
    ("play-dtmf", Command::PlayDtmf),
    ("publish", Command::Publish),
    ("subscribe-request", Command::SubscribeRequest),
    ("subscribe-answer", Command::SubscribeAnswer),
    ("unsubscribe", Command::Unsubscribe),
    ("connect", Command::Connect),
    ("mesh", Command::Mesh),
    ("inject-start", Command::InjectStart),
    ("inject-stop", Command::InjectStop),
    ("create", Command::Create),
    ("create-answer", Command::CreateAnswer),
    ("transform", Command::Transform),
]);

impl Command {
    /// Reads a command word in any spelling.
    pub fn parse(word: &[u8]) -> Option<Self> {
        WORDS.get(word)
    }

    /// The word, with hyphens; a metrics label too.
    pub fn as_str(self) -> &'static str {
        // The table lists the variants in the order of the enum, which a test holds.
        WORDS.names()[self as usize].0
    }

    /// Every command, in the order of the enum.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.names().iter().map(|(_, command)| *command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_reads_back_from_its_word() {
        for (index, command) in Command::all().enumerate() {
            assert_eq!(command as usize, index);
            assert_eq!(Command::parse(command.as_str().as_bytes()), Some(command));
            assert_eq!(
                Command::parse(command.as_str().replace('-', " ").as_bytes()),
                Some(command)
            );
        }
        assert_eq!(Command::all().count(), 33);
    }

    #[test]
    fn upper_case_commands_are_the_same() {
        assert_eq!(Command::parse(b"CLI"), Some(Command::Cli));
        assert_eq!(Command::parse(b"play DTMF"), Some(Command::PlayDtmf));
        assert_eq!(Command::parse(b"offers"), None);
        assert_eq!(Command::parse(b""), None);
    }
}
