//! Listeners of one kind share one bound on how many connections there are at once.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bound.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Semaphore>);

/// A listener under the bound: one connection more is accepted and waits, the rest wait in the kernel.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection; its end makes room for another.
#[derive(Debug)]
pub struct Connection {
    inner: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `most` at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(
            most.clamp(1, Semaphore::MAX_PERMITS),
        )))
    }

    /// Puts a listener under the bound.
    pub fn listen(&self, inner: TcpListener) -> Listener {
        Listener {
            inner,
            free: Arc::clone(&self.0),
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok((inner, peer)) => {
                    let Ok(place) = Arc::clone(&self.free).acquire_owned().await else {
                        // Nobody closes the semaphore; whoever did wants no connections.
                        continue;
                    };
                    // Replies are small and waited for. A failure only costs latency.
                    let _slow = inner.set_nodelay(true);
                    return (
                        Connection {
                            inner,
                            _place: place,
                        },
                        peer,
                    );
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
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
