//! `top`: calls and packets, live. One thread asks the relay, this one draws and reads keys.

mod screen;
mod signals;
mod view;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use serde_json::Value;

use crate::calls;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Form;

pub(crate) use view::Order;
use view::{Action, Relay, Snapshot, View};

/// How long a key or a new picture may wait.
const TURN: Duration = Duration::from_millis(50);

/// What the asking thread has to say.
type News = Result<Snapshot, Failure>;

/// Runs until `q`, Ctrl-C or a signal; the terminal is as before afterwards, also after a panic.
pub(crate) fn run(
    client: &mut Client,
    interval: Duration,
    order: Order,
    form: Form,
) -> Result<(), Failure> {
    if form == Form::Json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "`top` draws on a terminal and there is none; `patchctl status` and \
             `patchctl --json calls` suit scripts and pipes"
                .to_owned(),
        ));
    }
    // Asked before the screen changes: whoever named a wrong relay wants to read so.
    let first = look(client)?;
    let mut view = View::new(client.relay().to_string(), order);
    view.take(first);
    let stop = signals::watch()?;
    // It restores the terminal on a panic too.
    let mut terminal = ratatui::try_init()?;
    let (news, inbox) = channel();
    let (quit, quitted) = channel();
    thread::scope(|scope| {
        scope.spawn(move || ask(client, interval, &news, &quitted));
        let done = draw(&mut terminal, &mut view, &inbox, &stop);
        // The asking thread ends when its channel does.
        drop(quit);
        ratatui::restore();
        done
    })
}

fn ask(client: &mut Client, interval: Duration, news: &Sender<News>, quitted: &Receiver<()>) {
    while quitted.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        if news.send(look(client)).is_err() {
            return;
        }
    }
}

fn look(client: &mut Client) -> News {
    let status = client.document("json status")?;
    let calls = calls::fetch(client)?
        .into_iter()
        .map(|(summary, _)| summary)
        .collect();
    Ok(Snapshot {
        at: Instant::now(),
        relay: relay(&status),
        calls,
    })
}

fn relay(status: &Value) -> Relay {
    let number = |key| status.get(key).and_then(Value::as_u64).unwrap_or_default();
    let workers = status.get("workers").and_then(Value::as_array);
    let sum = |key| {
        let workers = workers.into_iter().flatten();
        workers.filter_map(|worker| worker.get(key)?.as_u64()).sum()
    };
    Relay {
        version: status
            .get("version")
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned(),
        uptime: number("uptime"),
        is_draining: status.get("draining") == Some(&Value::Bool(true)),
        calls: number("calls"),
        created: number("created"),
        received: sum("received"),
        forwarded: sum("forwarded"),
        dropped: sum("dropped"),
    }
}

fn draw(
    terminal: &mut DefaultTerminal,
    view: &mut View,
    inbox: &Receiver<News>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut is_stale = true;
    while !stop.load(Relaxed) {
        for news in inbox.try_iter() {
            match news {
                Ok(snapshot) => view.take(snapshot),
                Err(failure) => view.complain(&failure.to_string()),
            }
            is_stale = true;
        }
        if is_stale {
            terminal.draw(|frame| screen::draw(frame, view))?;
            is_stale = false;
        }
        if event::poll(TURN)? {
            match react(view, &event::read()?) {
                Action::Leave => return Ok(()),
                Action::Redraw => is_stale = true,
                Action::Nothing => {}
            }
        }
    }
    Ok(())
}

fn react(view: &mut View, event: &Event) -> Action {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => view.key(*key),
        Event::Resize(..) => Action::Redraw,
        Event::Key(_)
        | Event::FocusGained
        | Event::FocusLost
        | Event::Mouse(_)
        | Event::Paste(_) => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_relay_is_the_sum_of_its_workers() {
        let status = json!({
            "version": "0.1.0", "uptime": 5, "draining": true, "calls": 2, "created": 9,
            "workers": [
                {"received": 10, "forwarded": 8, "dropped": 2},
                {"received": 5, "forwarded": 5, "dropped": 0},
            ],
        });
        let relay = relay(&status);
        assert_eq!(
            (relay.received, relay.forwarded, relay.dropped),
            (15, 13, 2)
        );
        assert!(relay.is_draining);
        assert_eq!((relay.calls, relay.created, relay.uptime), (2, 9, 5));
    }
}
