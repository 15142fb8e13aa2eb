//! NG over TCP, `cookie SP dictionary` back to back; and command lines, one per connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener as _;
use patchcord_wire::ng::stream::Units;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connections::{Connection, Listener};
use crate::figures::Transport;
use crate::ng::{Answer, Ask, Mailbox};

/// Longest command line.
const LINE: usize = 4_096;
/// How long a command line may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves NG connections.
pub async fn units(mut listener: Listener, mailbox: Arc<Mailbox>) {
    loop {
        let (mut connection, peer) = listener.accept().await;
        let mailbox = Arc::clone(&mailbox);
        tokio::spawn(async move {
            if let Err(error) = talk(&mut connection, &mailbox).await {
                tracing::info!(%peer, %error, "NG connection closed");
            }
        });
    }
}

/// Answers unit after unit until the other end closes, or sends what can never become one.
async fn talk(connection: &mut Connection, mailbox: &Mailbox) -> io::Result<()> {
    let mut units = Units::default();
    let mut bytes = Vec::with_capacity(4_096);
    loop {
        let mut taken = 0;
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        while let Some(unit) = units.next(&bytes[taken..]).map_err(invalid)? {
            let message = bytes[taken + unit.start..taken + unit.end].to_vec();
            taken += unit.end;
            match mailbox.ask(Transport::Tcp, Ask::Unit(message)).await {
                Ok(Answer::Reply(reply, _)) => connection.write_all(&reply).await?,
                Ok(Answer::Dropped | Answer::Text(_) | Answer::Done) => {}
                // The client repeats what is not answered; the connection it keeps.
                Err(refused) => tracing::warn!(?refused, "NG request not answered"),
            }
        }
        bytes.drain(..taken);
        if bytes.is_empty() {
            connection.rest();
        }
        if connection.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// Serves command lines.
pub async fn lines(mut listener: Listener, mailbox: Arc<Mailbox>) {
    loop {
        let (mut connection, peer) = listener.accept().await;
        let mailbox = Arc::clone(&mailbox);
        tokio::spawn(async move {
            let result = tokio::time::timeout(PATIENCE, line(&mut connection, &mailbox)).await;
            if let Ok(Err(error)) = result {
                tracing::debug!(%peer, %error, "command line");
            }
        });
    }
}

async fn line(connection: &mut Connection, mailbox: &Mailbox) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(256);
    while !bytes.contains(&b'\n') && bytes.len() < LINE {
        if connection.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    bytes.truncate(end);
    if let Ok(Answer::Text(text)) = mailbox.ask(Transport::Tcp, Ask::Line(bytes)).await {
        connection.write_all(&text).await?;
    }
    connection.shutdown().await
}
