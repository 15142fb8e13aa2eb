//! Draws the view.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::view::{Line, Order, View};
use crate::table::{bytes, count, shorten, span};

/// Per cent of loss that is shown in red.
const BAD_LOSS: f64 = 1.0;
/// Widths of the columns after the call-id.
const WIDTHS: [u16; 8] = [9, 7, 9, 11, 9, 7, 9, 40];

/// Draws everything, and notes how many lines fit.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let [head, table, foot] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Min(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    view.page = usize::from(table.height.saturating_sub(1));
    frame.render_widget(Paragraph::new(heading(view)), head);
    calls(frame, view, table);
    frame.render_widget(Paragraph::new(footer(view)), foot);
}

fn heading(view: &View) -> Vec<TextLine<'_>> {
    let relay = &view.relay;
    let first = format!(
        "patchcord {} at {}, up {}",
        relay.version,
        view.place,
        span(relay.uptime)
    );
    let mut title = vec![Span::styled(
        first,
        Style::new().add_modifier(Modifier::BOLD),
    )];
    if relay.is_draining {
        title.push(Span::styled("  DRAINING", Style::new().fg(Color::Yellow)));
    }
    let rate = |of: fn(&super::view::Rates) -> f64| {
        view.rates
            .as_ref()
            .map_or_else(|| "-".to_owned(), |rates| count(of(rates).round() as u64))
    };
    vec![
        title.into(),
        format!(
            "calls    {} now, {} new/s",
            count(relay.calls),
            rate(|rates| rates.created)
        )
        .into(),
        format!(
            "packets  {}/s in, {}/s forwarded, {}/s dropped; {} in, {} dropped since the start",
            rate(|rates| rates.received),
            rate(|rates| rates.forwarded),
            rate(|rates| rates.dropped),
            count(relay.received),
            count(relay.dropped)
        )
        .into(),
    ]
}

fn calls(frame: &mut Frame<'_>, view: &View, area: Rect) {
    let names = [
        "call", "state", "age", "pkt/s", "packets", "bytes", "loss", "dropped", "parties",
    ];
    let header = names.map(|name| {
        let marker = if view.order.column() == name {
            "▼"
        } else {
            ""
        };
        Cell::from(format!("{name}{marker}"))
    });
    let shown = view.lines.iter().skip(view.offset).take(view.page);
    let widths = WIDTHS.map(Constraint::Length);
    let widths = [Constraint::Min(16)].into_iter().chain(widths);
    let table = Table::new(shown.map(|line| row(line, area.width)), widths)
        .header(Row::new(header).style(Style::new().add_modifier(Modifier::REVERSED)));
    frame.render_widget(table, area);
}

fn row(line: &Line, width: u16) -> Row<'_> {
    let call = &line.call;
    let names = if call.peers.is_empty() {
        &call.tags
    } else {
        &call.peers
    };
    let color = if call.loss() >= BAD_LOSS {
        Color::Red
    } else {
        Color::Reset
    };
    let room = usize::from(width.saturating_sub(WIDTHS.iter().sum::<u16>() + 9)).max(16);
    Row::new([
        Cell::from(shorten(&call.call_id, room)),
        Cell::from(call.state.as_str()),
        Cell::from(span(call.seconds)),
        Cell::from(count(line.packets_per_second.round() as u64)),
        Cell::from(count(call.packets)),
        Cell::from(bytes(call.bytes)),
        Cell::from(format!("{:.1}%", call.loss())).style(Style::new().fg(color)),
        Cell::from(count(call.dropped)),
        Cell::from(shorten(&names.join(" ↔ "), usize::from(WIDTHS[7]))),
    ])
}

fn footer(view: &View) -> TextLine<'_> {
    if let Some(complaint) = &view.complaint {
        return Span::styled(complaint.as_str(), Style::new().fg(Color::Red)).into();
    }
    let last = (view.offset + view.page).min(view.lines.len());
    let first = (view.offset + 1).min(last);
    let held = if view.is_held { "  HELD" } else { "" };
    format!(
        "{first}-{last} of {} by {}{held}   q leave  ↑↓ scroll  s order  space hold",
        view.lines.len(),
        name(view.order)
    )
    .into()
}

const fn name(order: Order) -> &'static str {
    match order {
        Order::Rate => "packets a second",
        Order::Packets => "packets",
        Order::Loss => "loss",
        Order::Dropped => "drops",
        Order::Age => "age",
        Order::Id => "call-id",
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::top::view::tests::example;

    fn picture(view: &mut View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it is memory");
        terminal
            .draw(|frame| draw(frame, view))
            .expect("it is memory");
        terminal.backend().to_string()
    }

    #[test]
    fn the_busiest_call_comes_first_under_the_totals() {
        let text = picture(&mut example(), 130, 10);
        assert!(
            text.contains("patchcord 0.1.0 at udp:127.0.0.1:2223, up 2h05m"),
            "{text}"
        );
        assert!(
            text.contains("packets  155/s in, 155/s forwarded, 0/s dropped; 9 310 in"),
            "{text}"
        );
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[4].contains("pkt/s▼"), "{text}");
        assert!(
            lines[5].contains("b ") && lines[5].contains("100"),
            "{text}"
        );
        assert!(lines[7].contains("33.3%"), "{text}");
        assert!(lines[9].contains("1-3 of 3 by packets a second"), "{text}");
    }

    #[test]
    fn a_relay_that_is_gone_is_said_in_the_last_line() {
        let mut view = example();
        view.complain("no relay answers\nDoes it run?");
        let text = picture(&mut view, 100, 8);
        assert!(
            text.lines()
                .last()
                .is_some_and(|line| line.contains("no relay answers")),
            "{text}"
        );
    }

    #[test]
    fn any_size_of_terminal_is_drawn() {
        for (width, height) in [(1, 1), (5, 3), (40, 6), (300, 100)] {
            let text = picture(&mut example(), width, height);
            assert_eq!(text.lines().count(), usize::from(height), "{text}");
        }
    }
}
