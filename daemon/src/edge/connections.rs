//! Listeners of one kind share one bound on how many connections there are at once, and none of them
//! stays for ever: one that asks nothing ends, and so does one that is too slow to ask.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// The bound.
#[derive(Clone, Debug)]
pub struct Connections {
    free: Arc<Semaphore>,
    patience: Patience,
}

/// How long a connection is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a request to the first of its reply, however its bytes trickle in.
    pub request: Duration,
    /// From there to the next request; `None` is for ever.
    pub idle: Option<Duration>,
}

/// A listener under the bound: one connection more is accepted and waits, the rest wait in the kernel.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    under: Connections,
}

/// A connection; its end makes room for another.
#[derive(Debug)]
pub struct Connection {
    inner: TcpStream,
    patience: Patience,
    waits_for: WaitsFor,
    /// When it has waited long enough.
    deadline: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// A request to begin.
    Request,
    /// The request's end, and the reply.
    Reply,
}

impl Connections {
    /// At most `most` at once.
    pub fn new(most: usize, patience: Patience) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(most)),
            patience,
        }
    }

    /// Puts a listener under the bound.
    pub fn listen(&self, inner: TcpListener) -> Listener {
        Listener {
            inner,
            under: self.clone(),
        }
    }
}

impl Connection {
    fn new(inner: TcpStream, patience: Patience, place: OwnedSemaphorePermit) -> Self {
        let mut new = Self {
            inner,
            patience,
            waits_for: WaitsFor::Reply,
            deadline: None,
            _place: place,
        };
        new.rest();
        new
    }

    /// The last request is dealt with, with a reply or without: it waits for the next.
    pub fn rest(&mut self) {
        self.wait(WaitsFor::Request, self.patience.idle);
    }

    fn wait(&mut self, what: WaitsFor, long: Option<Duration>) {
        self.waits_for = what;
        match (&mut self.deadline, long) {
            (Some(deadline), Some(long)) => {
                deadline.as_mut().reset(tokio::time::Instant::now() + long);
            }
            (None, Some(long)) => self.deadline = Some(Box::pin(tokio::time::sleep(long))),
            (_, None) => self.deadline = None,
        }
    }

    /// Whether it has waited too long; if not, the task is woken when it has.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(deadline) = &mut self.deadline else {
            return Poll::Pending;
        };
        deadline.as_mut().poll(context).map(|()| {
            let what = match self.waits_for {
                WaitsFor::Request => "idle for too long",
                WaitsFor::Reply => "too slow",
            };
            io::Error::new(io::ErrorKind::TimedOut, what)
        })
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((inner, peer)) => {
                    let Ok(place) = Arc::clone(&self.under.free).acquire_owned().await else {
                        // Nobody closes the semaphore; whoever did wants no connections.
                        continue;
                    };
                    // Replies are small and waited for. A failure only costs latency.
                    let _slow = inner.set_nodelay(true);
                    return (Connection::new(inner, self.under.patience, place), peer);
                }
                // Out of descriptors, or a connection that is gone already.
                Err(error) => {
                    tracing::debug!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        if result.is_pending() {
            return self.poll_deadline(context).map(Err);
        }
        if buffer.filled().len() > before && self.waits_for == WaitsFor::Request {
            let long = self.patience.request;
            self.wait(WaitsFor::Reply, Some(long));
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        match result {
            // Nor is one waited for that reads no replies.
            Poll::Pending => self.poll_deadline(context).map(Err),
            Poll::Ready(_) => {
                self.rest();
                result
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
