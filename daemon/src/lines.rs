//! Log lines on their way to stderr: a slow or stuck reader costs lines, never a call.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that can wait for the reader.
const WAITING: usize = 4_096;
/// What follows the number of lines that the reader was too slow for.
const LOST: &str = " log lines lost: the reader is too slow";
/// How long the end of the process waits for the reader.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where lines are handed over.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before this is written.
    Written(SyncSender<()>),
}

/// One line while it is being formatted; handed over when it is complete.
#[derive(Debug)]
pub struct Line<'a> {
    bytes: Vec<u8>,
    lines: &'a Lines,
}

impl Lines {
    /// Starts the thread that writes lines to `out`.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, lines) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&lines, &counted, out))?;
        Ok(Self { queue, lost })
    }

    /// Waits until everything logged so far is written, but not for ever.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.queue.try_send(Entry::Written(written)).is_ok() {
            // A reader that is stuck stays stuck; the process ends all the same.
            let _stuck = done.recv_timeout(PATIENCE);
        }
    }
}

fn write(lines: &Receiver<Entry>, lost: &AtomicU64, mut out: impl Write) {
    while let Ok(entry) = lines.recv() {
        // Nobody is left to be told about a stderr that cannot be written.
        let _unwritable = match entry {
            Entry::Line(line) => out.write_all(&line),
            Entry::Written(done) => done.send(()).map_err(io::Error::other),
        };
        let gone = lost.swap(0, Relaxed);
        if gone > 0 {
            let _unwritable = writeln!(out, "{gone}{LOST}");
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            bytes: Vec::with_capacity(160),
            lines: self,
        }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.bytes);
        if !line.is_empty() && self.lines.queue.try_send(Entry::Line(line)).is_err() {
            self.lines.lost.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn lines_are_written_in_order_and_whole() {
        let out = Shared::default();
        let lines = Lines::start(out.clone()).expect("starts");
        for n in 0..100 {
            let mut line = lines.make_writer();
            write!(line, "line ").expect("never fails");
            writeln!(line, "{n}").expect("never fails");
        }
        lines.flush();
        let expected = (0..100).fold(String::new(), |text, n| text + &format!("line {n}\n"));
        assert_eq!(out.text(), expected);
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_no_time() {
        let out = Shared::default();
        let stuck = out.0.lock().expect("not poisoned");
        let lines = Lines::start(out.clone()).expect("starts");
        for _ in 0..2 * WAITING {
            lines
                .make_writer()
                .write_all(b"line\n")
                .expect("never fails");
        }
        drop(stuck);
        // The queue may still be full, and then a flush is not taken.
        while out.lines_written() + out.lines_lost() < 2 * WAITING {
            lines.flush();
        }
        assert!(out.lines_written() >= WAITING, "{}", out.lines_written());
        assert!(out.lines_lost() >= WAITING - 1, "{}", out.lines_lost());
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
        }
    }

    impl Shared {
        fn lines_written(&self) -> usize {
            self.text().lines().filter(|line| *line == "line").count()
        }

        fn lines_lost(&self) -> usize {
            let text = self.text();
            let counts = text.lines().filter_map(|line| line.strip_suffix(LOST));
            counts
                .map(|count| count.parse::<usize>().expect("a number"))
                .sum()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
