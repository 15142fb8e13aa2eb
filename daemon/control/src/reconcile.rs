//! From the flows there are and the flows wanted to the commands that make the one the other.

use std::cmp::Ordering;
use std::sync::Arc;

use patchcord_media::flow::{Command, Spec};

/// Appends what turns `have` into `want`; both are sorted by port. What is wanted is set before
/// what is not is cleared, so that no packet finds a gap. What did not change is the one that the
/// worker has.
pub(crate) fn reconcile(have: &[Arc<Spec>], want: &mut [Arc<Spec>], commands: &mut Vec<Command>) {
    let mut gone = Vec::new();
    let (mut old, mut new) = (have.iter().peekable(), want.iter_mut().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.port.cmp(&new.port),
        };
        match order {
            Ordering::Less => gone.extend(old.next().map(|spec| Command::Clear(spec.port))),
            Ordering::Greater => commands.extend(new.next().map(|spec| set(spec))),
            Ordering::Equal => {
                if let (Some(old), Some(new)) = (old.next(), new.next()) {
                    if old == new {
                        Arc::clone_from(new, old);
                    } else {
                        commands.push(set(new));
                    }
                }
            }
        }
    }
    commands.append(&mut gone);
}

fn set(spec: &Arc<Spec>) -> Command {
    Command::Set(Arc::clone(spec))
}

#[cfg(test)]
mod tests {
    use patchcord_contract::Endpoint;
    use patchcord_media::flow::{
        Accepts, Admission, Clocks, Handshakes, Learning, PortId, Reporting, Security, Sinks,
        Stranger,
    };
    use patchcord_media::stats::PortStats;

    use super::*;

    fn spec(slot: u32, tos: u8, stats: &Arc<PortStats>) -> Arc<Spec> {
        Arc::new(Spec {
            port: PortId::new(0, slot).expect("a small slot"),
            accepts: Accepts::Rtp,
            admission: Admission {
                advertised: Endpoint::NONE,
                learning: Learning::Heuristic,
                stranger: Stranger::Forward,
                epoch: 0,
            },
            handshakes: Handshakes::default(),
            receive: Security::Plain,
            send: Security::Plain,
            clocks: Clocks::new(),
            rtp: Sinks::new(),
            rtcp: Sinks::new(),
            reporting: Reporting::Relayed,
            bundle: None,
            doors: None,
            tos,
            blocked: false,
            interface: 0,
            stats: Arc::clone(stats),
        })
    }

    #[test]
    fn what_did_not_change_is_not_mentioned() {
        let stats = Arc::new(PortStats::default());
        let flows = [spec(1, 0, &stats), spec(2, 0, &stats)];
        let mut commands = Vec::new();
        let mut same = flows.clone().map(|spec| Arc::new(Spec::clone(&spec)));
        reconcile(&flows, &mut same, &mut commands);
        assert_eq!(commands, []);
        assert!(Arc::ptr_eq(&flows[0], &same[0]));
    }

    #[test]
    fn new_and_changed_are_set_before_gone_are_cleared() {
        let stats = Arc::new(PortStats::default());
        let have = [spec(1, 0, &stats), spec(2, 0, &stats)];
        let mut want = [spec(2, 184, &stats), spec(3, 0, &stats)];
        let mut commands = Vec::new();
        reconcile(&have, &mut want, &mut commands);
        let ports: Vec<_> = commands
            .iter()
            .map(|c| (c.port().slot(), matches!(c, Command::Set(_))))
            .collect();
        assert_eq!(ports, [(2, true), (3, true), (1, false)]);
    }

    #[test]
    fn fresh_counters_make_a_fresh_flow() {
        let have = [spec(1, 0, &Arc::new(PortStats::default()))];
        let mut want = [spec(1, 0, &Arc::new(PortStats::default()))];
        let mut commands = Vec::new();
        reconcile(&have, &mut want, &mut commands);
        assert_eq!(commands.len(), 1);
    }
}
