//! What `top` knows: the last look, the rates since the one before, the order and the place in the list.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::calls::Summary;

/// An order of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Most packets a second first
    Rate,
    /// Most packets first
    Packets,
    /// Most lost first
    Loss,
    /// Most dropped first
    Dropped,
    /// Youngest first
    Age,
    /// By call-id
    Id,
}

impl Order {
    const ALL: [Self; 6] = [
        Self::Rate,
        Self::Packets,
        Self::Loss,
        Self::Dropped,
        Self::Age,
        Self::Id,
    ];

    /// The column it is about.
    pub(crate) const fn column(self) -> &'static str {
        match self {
            Self::Rate => "pkt/s",
            Self::Packets => "packets",
            Self::Loss => "loss",
            Self::Dropped => "dropped",
            Self::Age => "age",
            Self::Id => "call",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL
            .iter()
            .position(|order| *order == self)
            .unwrap_or_default();
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// The relay as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relay {
    pub(crate) version: String,
    pub(crate) uptime: u64,
    pub(crate) is_draining: bool,
    pub(crate) calls: u64,
    pub(crate) created: u64,
    pub(crate) received: u64,
    pub(crate) forwarded: u64,
    pub(crate) dropped: u64,
}

/// One look at the relay.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    pub(crate) relay: Relay,
    pub(crate) calls: Vec<Summary>,
}

/// Packets and the like in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) received: f64,
    pub(crate) forwarded: f64,
    pub(crate) dropped: f64,
    pub(crate) created: f64,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) call: Summary,
    pub(crate) packets_per_second: f64,
}

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Leave,
    Redraw,
    Nothing,
}

/// Everything on the screen.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) place: String,
    pub(crate) relay: Relay,
    pub(crate) rates: Option<Rates>,
    pub(crate) lines: Vec<Line>,
    pub(crate) order: Order,
    /// Lines above the first one shown.
    pub(crate) offset: usize,
    pub(crate) is_held: bool,
    pub(crate) complaint: Option<String>,
    /// Lines that fit; the screen says.
    pub(crate) page: usize,
    before: Option<Instant>,
}

impl View {
    /// Nothing seen yet.
    pub(crate) fn new(place: String, order: Order) -> Self {
        Self {
            place,
            relay: Relay::default(),
            rates: None,
            lines: Vec::new(),
            order,
            offset: 0,
            is_held: false,
            complaint: None,
            page: 1,
            before: None,
        }
    }

    /// Takes a look over, unless the picture is held.
    pub(crate) fn take(&mut self, now: Snapshot) {
        self.complaint = None;
        if self.is_held {
            return;
        }
        let elapsed = self
            .before
            .map(|before| now.at.saturating_duration_since(before));
        let elapsed = elapsed.filter(|elapsed| *elapsed > Duration::ZERO);
        self.rates = elapsed.map(|elapsed| rates(&self.relay, &now.relay, elapsed));
        let seen: HashMap<&str, u64> = self
            .lines
            .iter()
            .map(|line| (&*line.call.call_id, line.call.packets))
            .collect();
        let lines = now.calls.into_iter().map(|call| {
            // A call that was not there before has made all its packets since.
            let before = seen.get(&*call.call_id).copied().unwrap_or_default();
            let packets_per_second =
                elapsed.map_or(0.0, |elapsed| per_second(before, call.packets, elapsed));
            Line {
                call,
                packets_per_second,
            }
        });
        self.lines = lines.collect();
        self.relay = now.relay;
        self.before = Some(now.at);
        self.sort();
    }

    /// Keeps the picture and says why it does not move.
    pub(crate) fn complain(&mut self, why: &str) {
        self.complaint = why.lines().next().map(str::to_owned);
    }

    /// Does what a key says.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a keyboard has many keys without a meaning here"
    )]
    pub(crate) fn key(&mut self, key: KeyEvent) -> Action {
        let page = self.page.max(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Action::Leave,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                return Action::Leave;
            }
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.offset = 0;
                self.sort();
            }
            KeyCode::Char(' ') => self.is_held = !self.is_held,
            KeyCode::Up => self.offset = self.offset.saturating_sub(1),
            KeyCode::Down => self.offset += 1,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(page),
            KeyCode::PageDown => self.offset += page,
            KeyCode::Home => self.offset = 0,
            KeyCode::End => self.offset = usize::MAX,
            _ => return Action::Nothing,
        }
        self.stay_inside();
        Action::Redraw
    }

    fn sort(&mut self) {
        let lines = &mut self.lines;
        lines.sort_by(|a, b| a.call.call_id.cmp(&b.call.call_id));
        match self.order {
            Order::Rate => {
                lines.sort_by(|a, b| b.packets_per_second.total_cmp(&a.packets_per_second));
            }
            Order::Packets => lines.sort_by_key(|line| Reverse(line.call.packets)),
            Order::Loss => lines.sort_by(|a, b| b.call.loss().total_cmp(&a.call.loss())),
            Order::Dropped => lines.sort_by_key(|line| Reverse(line.call.dropped)),
            Order::Age => lines.sort_by_key(|line| line.call.seconds),
            Order::Id => {}
        }
        self.stay_inside();
    }

    fn stay_inside(&mut self) {
        self.offset = self
            .offset
            .min(self.lines.len().saturating_sub(self.page.max(1)));
    }
}

fn rates(before: &Relay, now: &Relay, elapsed: Duration) -> Rates {
    Rates {
        received: per_second(before.received, now.received, elapsed),
        forwarded: per_second(before.forwarded, now.forwarded, elapsed),
        dropped: per_second(before.dropped, now.dropped, elapsed),
        created: per_second(before.created, now.created, elapsed),
    }
}

/// The rate of a counter; zero where it fell, because the relay started anew.
fn per_second(before: u64, now: u64, elapsed: Duration) -> f64 {
    now.saturating_sub(before) as f64 / elapsed.as_secs_f64()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A view after two looks, two seconds apart.
    pub(crate) fn example() -> View {
        let call = |id: &str, seconds, packets, lost| Summary {
            call_id: id.into(),
            state: "answered".into(),
            seconds,
            packets,
            lost,
            ..Summary::default()
        };
        let relay = |received| Relay {
            version: "0.1.0".into(),
            uptime: 7500,
            received,
            forwarded: received,
            calls: 3,
            ..Relay::default()
        };
        let start = Instant::now();
        let mut view = View::new("udp:127.0.0.1:2223".into(), Order::Rate);
        let calls = vec![call("a", 60, 6000, 60), call("b", 30, 3000, 0)];
        view.take(Snapshot {
            at: start,
            relay: relay(9000),
            calls,
        });
        let calls = vec![
            call("a", 62, 6100, 61),
            call("b", 32, 3200, 0),
            call("c", 1, 10, 5),
        ];
        let at = start + Duration::from_secs(2);
        view.take(Snapshot {
            at,
            relay: relay(9310),
            calls,
        });
        view
    }

    fn order(view: &View) -> String {
        view.lines
            .iter()
            .map(|line| line.call.call_id.as_str())
            .collect()
    }

    fn press(view: &mut View, code: KeyCode) -> Action {
        view.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn rates_are_those_between_two_looks() {
        let view = example();
        assert!((view.rates.expect("two looks").received - 155.0).abs() < 1e-9);
        let rates: Vec<_> = view
            .lines
            .iter()
            .map(|line| line.packets_per_second as u64)
            .collect();
        assert_eq!((order(&view).as_str(), rates), ("bac", vec![100, 50, 5]));
    }

    #[test]
    fn a_relay_that_started_anew_has_no_negative_rate() {
        assert!(per_second(1000, 10, Duration::from_secs(1)).abs() < 1e-9);
    }

    #[test]
    fn s_goes_through_all_orders_and_begins_again() {
        let mut view = example();
        let mut seen = vec![order(&view)];
        for _ in 0..Order::ALL.len() {
            assert_eq!(press(&mut view, KeyCode::Char('s')), Action::Redraw);
            seen.push(order(&view));
        }
        assert_eq!(seen, ["bac", "abc", "cab", "abc", "cba", "abc", "bac"]);
    }

    #[test]
    fn scrolling_ends_at_both_ends() {
        let mut view = example();
        view.page = 2;
        press(&mut view, KeyCode::Up);
        assert_eq!(view.offset, 0);
        for _ in 0..5 {
            press(&mut view, KeyCode::PageDown);
        }
        assert_eq!(view.offset, 1);
        press(&mut view, KeyCode::Home);
        press(&mut view, KeyCode::End);
        assert_eq!(view.offset, 1);
    }

    #[test]
    fn a_held_picture_does_not_move() {
        let mut view = example();
        press(&mut view, KeyCode::Char(' '));
        let relay = Relay {
            received: 99,
            ..Relay::default()
        };
        view.take(Snapshot {
            at: Instant::now(),
            relay,
            calls: Vec::new(),
        });
        assert_eq!((view.lines.len(), view.relay.received), (3, 9310));
    }

    #[test]
    fn q_escape_and_control_c_leave() {
        let mut view = example();
        assert_eq!(press(&mut view, KeyCode::Char('q')), Action::Leave);
        assert_eq!(press(&mut view, KeyCode::Esc), Action::Leave);
        assert_eq!(press(&mut view, KeyCode::Char('c')), Action::Nothing);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(control_c), Action::Leave);
    }
}
