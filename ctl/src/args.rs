//! The command line of `patchctl`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::client::Relay;
use crate::top::Order;

const EXAMPLES: &str = "Examples:
  patchctl status
  patchctl calls --sort packets
  patchctl call 3c26700c@phone
  patchctl offer --call-id t1 --from-tag a invite.sdp replace-origin ICE=remove
  patchctl --relay tcp:192.0.2.10:2223 drain
  patchctl --relay http://192.0.2.10:9623 --json calls

Exit codes: 0 done, 1 the relay refused, 2 wrong usage, 3 no relay answers";
const STATUS: &str = "Examples:
  patchctl status
  patchctl --json status | jq .uptime_seconds";
const CALLS: &str = "Examples:
  patchctl calls                       all calls, the youngest first
  patchctl calls 192.0.2.7             those with this address, tag or part of an id
  patchctl calls --sort loss --limit 10
  patchctl --json calls | jq -r '.calls[].call_id'";
const CALL: &str = "Examples:
  patchctl call 3c26700c@phone         why is there no audio?
  patchctl --json call 3c26700c@phone";
const TOP: &str =
    "Keys: q leaves, arrows and page keys scroll, s changes the order, space holds the picture

Examples:
  patchctl top
  patchctl top --sort loss --interval 5";
const EXCHANGE: &str = "The SDP for the other side goes to standard output, the relay's warnings to standard error.

Examples:
  patchctl offer --call-id t1 --from-tag a invite.sdp
  patchctl offer --call-id t1 --from-tag a invite.sdp replace-origin ICE=remove direction=int direction=ext
  patchctl answer --call-id t1 --from-tag a --to-tag b - < ok.sdp";
const DELETE: &str = "Examples:
  patchctl delete t1
  patchctl delete t1 --from-tag a --to-tag b
  patchctl delete t1 --delay 0";
const TERMINATE: &str = "Examples:
  patchctl terminate 3c26700c@phone
  patchctl terminate all";
const GET: &str = "Examples:
  patchctl get
  patchctl get timeout";
const SET: &str = "Examples:
  patchctl set timeout 120
  patchctl set max-sessions off
  patchctl set log-level debug";
const DRAIN: &str = "Leaving with Ctrl-C ends the waiting, not the draining.

Examples:
  patchctl drain && systemctl stop patchcord
  patchctl drain --no-wait
  patchctl drain --off";
const CLI: &str = "Examples:
  patchctl cli usage
  patchctl cli list sessions all
  patchctl cli list numsessions";
const COMPLETIONS: &str = "Examples:
  patchctl completions bash > /etc/bash_completion.d/patchctl
  patchctl completions zsh > \"${fpath[1]}/_patchctl\"
  patchctl completions fish > ~/.config/fish/completions/patchctl.fish";
const RELOAD: &str = "Examples:
  patchctl reload";
const INTERFACES: &str = "Examples:
  patchctl interfaces";
const STATISTICS: &str = "Examples:
  patchctl statistics
  patchctl --json statistics | jq .statistics.totalstatistics.managedsessions";
const PING: &str = "Examples:
  patchctl ping
  patchctl --relay tcp:192.0.2.10:2223 --timeout 1 ping || echo down";
const VERSION: &str = "Examples:
  patchctl version";

/// Steers and inspects a running Patchcord, over the NG protocol that SIP proxies use.
#[derive(Debug, Parser)]
#[command(name = "patchctl", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Where the relay listens: udp:HOST:PORT, tcp:HOST:PORT or http://HOST:PORT
    #[arg(
        long,
        short,
        global = true,
        env = "PATCHCTL_RELAY",
        default_value = "udp:127.0.0.1:2223"
    )]
    pub(crate) relay: Relay,

    /// How long to wait for an answer, in seconds
    #[arg(long, global = true, default_value = "3", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Print the relay's answer as JSON instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Is the relay well? Calls, ports, packets, drops by reason
    #[command(after_help = STATUS)]
    Status,
    /// The calls, one line each
    #[command(after_help = CALLS)]
    Calls(Calls),
    /// One call whole: legs, sections, ports, latched addresses, packets, quality, drops
    #[command(after_help = CALL)]
    Call {
        /// The call's id, as in SIP's Call-ID header
        call_id: String,
    },
    /// A live view of calls and packets; q leaves, arrows scroll, s changes the order
    #[command(after_help = TOP)]
    Top {
        /// Seconds between two looks
        #[arg(long, short, default_value = "1", value_parser = seconds)]
        interval: Duration,
        /// Order of the lines to begin with
        #[arg(long, value_enum, default_value_t = Order::Rate)]
        sort: Order,
    },
    /// Sends an offer from an SDP file, with flags as in a proxy script
    #[command(after_help = EXCHANGE)]
    Offer(Exchange),
    /// Sends an answer from an SDP file, with flags as in a proxy script
    #[command(after_help = EXCHANGE)]
    Answer(Exchange),
    /// Deletes a call, or one branch of it, as a proxy does on BYE
    #[command(after_help = DELETE)]
    Delete(Delete),
    /// Ends a call at once, or all of them
    #[command(after_help = TERMINATE)]
    Terminate {
        /// A call-id, or `all`
        call_id: String,
    },
    /// Asks for live parameters; all of them without a name
    #[command(after_help = GET)]
    Get {
        /// The parameter: timeout, silent-timeout, offer-timeout, final-timeout, delete-delay,
        /// max-sessions, tos or log-level
        name: Option<String>,
    },
    /// Changes a live parameter until the next restart
    #[command(after_help = SET)]
    Set {
        /// The parameter, one of those that `get` shows
        name: String,
        /// Its new value: seconds, a number, `off`, or a log level's name
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Refuses new calls and waits until the running ones have ended
    #[command(after_help = DRAIN)]
    Drain {
        /// Take new calls again
        #[arg(long)]
        off: bool,
        /// Return at once instead of waiting
        #[arg(long)]
        no_wait: bool,
    },
    /// Reads the configuration again; says what cannot change live
    #[command(after_help = RELOAD)]
    Reload,
    /// The interfaces: addresses, port ranges, ports free, leased and resting
    #[command(after_help = INTERFACES)]
    Interfaces,
    /// The counters since the start, as a proxy's `statistics` command gets them
    #[command(after_help = STATISTICS)]
    Statistics,
    /// Is anyone there? Prints the answer and how long it took
    #[command(after_help = PING)]
    Ping,
    /// Sends a line to the relay's command interpreter (rtpengine-ctl's words)
    #[command(after_help = CLI)]
    Cli {
        /// The words of the command, for example: list sessions all
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// The versions of this program and of the relay
    #[command(after_help = VERSION)]
    Version,
    /// Prints a completion script for a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// What `calls` shows.
#[derive(Debug, Args)]
pub(crate) struct Calls {
    /// Only calls whose id, tags or addresses contain this
    pub(crate) filter: Option<String>,
    /// Order of the lines
    #[arg(long, value_enum, default_value = "age")]
    pub(crate) sort: Sort,
    /// At most this many lines
    #[arg(long, default_value_t = 1000)]
    pub(crate) limit: usize,
}

/// An order of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sort {
    /// Youngest first
    Age,
    /// By call-id
    Id,
    /// Most packets first
    Packets,
    /// Most packets lost on the way to the relay first
    Loss,
    /// Most packets dropped by the relay first
    Dropped,
}

/// What `offer` and `answer` send.
#[derive(Debug, Args)]
pub(crate) struct Exchange {
    /// SIP's Call-ID
    #[arg(long)]
    pub(crate) call_id: String,
    /// The tag of the caller, as in the From header
    #[arg(long)]
    pub(crate) from_tag: String,
    /// The tag of the callee, as in the To header
    #[arg(long)]
    pub(crate) to_tag: Option<String>,
    /// The SDP body; `-` is standard input
    pub(crate) sdp: PathBuf,
    /// Flags and keys as in a proxy script, for example: replace-origin ICE=remove direction=int
    pub(crate) flags: Vec<String>,
}

/// What `delete` ends.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The call-id
    pub(crate) call_id: String,
    /// Only what belongs to this tag
    #[arg(long)]
    pub(crate) from_tag: Option<String>,
    /// Only the dialogue with this tag
    #[arg(long, requires = "from_tag")]
    pub(crate) to_tag: Option<String>,
    /// Seconds until the ports close; the relay's own delay without it
    #[arg(long)]
    pub(crate) delay: Option<u32>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of seconds between 0.05 and 86400".to_owned();
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if (0.05..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:\n  patchctl"), "{help}");
        }
    }

    #[test]
    fn flags_of_a_proxy_script_follow_the_file_as_they_are() {
        let cli = parse("patchctl offer --call-id c --from-tag f a.sdp replace-origin ICE=remove")
            .expect("a good line");
        let Command::Offer(exchange) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!(exchange.flags, ["replace-origin", "ICE=remove"]);
    }

    #[test]
    fn options_for_all_commands_stand_before_or_after_them() {
        for line in ["patchctl --json calls", "patchctl calls --json"] {
            assert!(parse(line).expect("a good line").json);
        }
    }

    #[test]
    fn a_wrong_relay_or_time_is_a_usage_error() {
        for line in [
            "patchctl --relay nowhere ping",
            "patchctl --timeout 0 ping",
            "patchctl --timeout NaN ping",
            "patchctl top --interval -1",
            "patchctl delete c --to-tag b",
            "patchctl cli",
        ] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2, "{line}");
        }
    }
}
