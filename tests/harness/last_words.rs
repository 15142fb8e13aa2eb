//! What a test that fails says last, below all logs: a report that is cut shows its end.

use std::cell::RefCell;
use std::io::Write;

thread_local! {
    static WORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a line, to be said if this test fails.
pub fn add(line: &str) {
    WORDS.with_borrow_mut(|words| words.push(line.to_owned()));
}

/// Says what was kept, if this test fails. Called when its directory goes, which is last.
pub(crate) fn say() {
    let words = WORDS.take();
    if std::thread::panicking() && !words.is_empty() {
        // One write: lines of threads beside this one stay apart.
        let text = format!("in short:\n{}\n", words.join("\n"));
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
}
