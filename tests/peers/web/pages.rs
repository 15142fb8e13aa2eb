//! The web server of one browser: the page of this directory and what npm has put beside it.
//!
//! It listens on the loopback of the browser's own namespace: a secure context, as a camera needs, without TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use patchcord_tests::Netns;

/// Between two looks at whether someone knocks, or it shall end.
const TURN: Duration = Duration::from_millis(10);
/// How long a browser may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where it listens.
const ADDRESS: ([u8; 4], u16) = ([127, 0, 0, 1], 8000);

/// A server of static files, gone with the value.
pub(crate) struct Pages {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    /// Starts it in `netns`.
    pub(crate) fn start(netns: &Netns) -> Self {
        let listener = netns.run(|| TcpListener::bind(SocketAddr::from(ADDRESS)));
        let listener = listener.expect("the port is free");
        listener
            .set_nonblocking(true)
            .expect("a socket may not block");
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A browser that goes away in mid-request is none of ours.
                    Ok((stream, _)) => drop(serve(stream)),
                    Err(_) => std::thread::sleep(TURN),
                }
            }
        });
        Self {
            ends,
            thread: Some(thread),
        }
    }

    /// The address of the page.
    pub(crate) fn url() -> String {
        format!("http://{}/index.html", SocketAddr::from(ADDRESS))
    }

    /// Whether what npm installs is there.
    pub(crate) fn are_complete() -> bool {
        root().join("node_modules/jssip/package.json").exists()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/web/page")
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut chunk = [0; 2048];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            length => request.extend(&chunk[..length]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split(' ').nth(1).unwrap_or("/");
    let found = Some(path)
        .filter(|path| !path.contains(".."))
        .and_then(|path| std::fs::read(root().join(path.trim_start_matches('/'))).ok());
    let status = if found.is_some() {
        "200 OK"
    } else {
        "404 Not Found"
    };
    let body = found.unwrap_or_default();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        kind(path),
        body.len()
    )?;
    stream.write_all(&body)
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        _ => "application/octet-stream",
    }
}
