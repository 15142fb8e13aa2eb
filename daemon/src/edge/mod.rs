//! What is not UDP: HTTP, WebSocket and TCP, on one thread with an asynchronous runtime of its own.
//!
//! Nothing is decided here. Messages go to the control loop through its mailbox, as bytes, and come
//! back as bytes.

mod connections;
mod http;
mod tcp;
mod websocket;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use crate::figures::Figures;
use crate::metrics::Metrics;
use crate::ng::Mailbox;
use connections::{Connections, Patience};

/// What the edges work with.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The way to the control loop.
    pub mailbox: Arc<Mailbox>,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` shows.
    pub figures: Arc<Figures>,
    /// Largest HTTP body and WebSocket message, bytes.
    pub body: usize,
    /// How long a request may take to come and to be answered.
    pub patience: Duration,
    /// How long a connection may ask nothing; `None` is for ever.
    pub idle: Option<Duration>,
}

/// The sockets that the edges listen on.
#[derive(Debug, Default)]
pub struct Doors {
    /// NG units back to back.
    pub ng: Vec<TcpListener>,
    /// HTTP and WebSocket.
    pub http: Vec<TcpListener>,
    /// One command line per connection.
    pub cli: Vec<TcpListener>,
}

/// The running edges.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// Opens a TCP listener; an IPv6 one takes IPv6 only.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(1_024)?;
    Ok(socket.into())
}

impl Edge {
    /// Serves `doors` with at most `connections` of each kind at once, on a thread of its own.
    pub fn start(self, doors: Doors, connections: usize) -> io::Result<Running> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("edge".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(self.serve(doors, connections, stopped)) {
                    tracing::error!(%error, "HTTP and TCP are not served");
                }
            })?;
        Ok(Running { stop, thread })
    }

    async fn serve(
        self,
        doors: Doors,
        connections: usize,
        mut stopped: watch::Receiver<bool>,
    ) -> io::Result<()> {
        // The answer to a slow HTTP request should still get through.
        let patience = Patience {
            request: 2 * self.patience,
            idle: self.idle,
        };
        // One kind of clients that never leave does not keep the others out.
        let places = Connections::new(connections, patience);
        for listener in doors.http {
            let listener = places.listen(tokio::net::TcpListener::from_std(listener)?);
            let server = axum::serve(listener, http::router(self.clone()));
            tokio::spawn(server.into_future());
        }
        let places = Connections::new(connections, patience);
        for listener in doors.ng {
            let listener = places.listen(tokio::net::TcpListener::from_std(listener)?);
            tokio::spawn(tcp::units(listener, Arc::clone(&self.mailbox)));
        }
        let places = Connections::new(connections, patience);
        for listener in doors.cli {
            let listener = places.listen(tokio::net::TcpListener::from_std(listener)?);
            tokio::spawn(tcp::lines(listener, Arc::clone(&self.mailbox)));
        }
        // Whatever still runs then ends with the runtime.
        let _closed = stopped.wait_for(|stop| *stop).await;
        Ok(())
    }
}

impl Running {
    /// Closes all listeners and connections.
    pub fn stop(self) {
        let _ended = self.stop.send(true);
        if self.thread.join().is_err() {
            tracing::error!("the edge thread panicked");
        }
    }
}

#[cfg(test)]
mod tests;
