//! NG and command lines over WebSocket, by rtpengine's subprotocols, on any path (RFC 6455 §1.9).

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Edge;
use crate::figures::Transport;
use crate::ng::{Answer, Ask};

/// What is spoken over one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    /// Messages with a cookie.
    Unit,
    /// Dictionaries.
    Plain,
    /// Command lines.
    Line,
    /// Everything comes back.
    Echo,
}

const PROTOCOLS: [(&str, Speech); 4] = [
    ("ng.rtpengine.com", Speech::Unit),
    ("ng-plain.rtpengine.com", Speech::Plain),
    ("cli.rtpengine.com", Speech::Line),
    ("echo.rtpengine.com", Speech::Echo),
];

/// Upgrades a request that asks for it; everything else on this path is not found.
pub async fn upgrade(
    State(edge): State<Edge>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return (
            StatusCode::NOT_FOUND,
            "see /metrics, /healthz, /readyz, /ping, /cli, /ng\n",
        )
            .into_response();
    };
    let upgrade = upgrade
        .max_message_size(edge.body)
        .max_frame_size(edge.body)
        .protocols(PROTOCOLS.map(|(name, _)| name));
    let chosen = upgrade
        .selected_protocol()
        .and_then(|name| name.to_str().ok());
    let speech = PROTOCOLS
        .iter()
        .find(|(name, _)| Some(*name) == chosen)
        .map(|(_, speech)| *speech);
    match speech {
        Some(speech) => upgrade.on_upgrade(move |socket| talk(edge, socket, speech)),
        None => (StatusCode::BAD_REQUEST, "no subprotocol of ours\n").into_response(),
    }
}

async fn talk(edge: Edge, mut socket: WebSocket, speech: Speech) {
    while let Some(Ok(message)) = socket.recv().await {
        let bytes = match message {
            Message::Text(_) | Message::Binary(_) => Vec::from(message.clone().into_data()),
            Message::Close(_) => return,
            // The library answers pings.
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        let ask = match speech {
            Speech::Unit => Ask::Unit(bytes),
            Speech::Plain => Ask::Plain(bytes),
            Speech::Line => Ask::Line(bytes),
            Speech::Echo => {
                if socket.send(message).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let reply = match edge.mailbox.ask(Transport::WebSocket, ask).await {
            Ok(Answer::Reply(reply, _) | Answer::Text(reply)) => reply,
            Ok(Answer::Dropped | Answer::Done) => continue,
            Err(_) => return,
        };
        // A reply is of the kind its request was, unless it holds what text cannot.
        let reply = match (message, String::from_utf8(reply)) {
            (Message::Text(_), Ok(text)) => Message::text(text),
            (_, Ok(text)) => Message::binary(text.into_bytes()),
            (_, Err(not_text)) => Message::binary(not_text.into_bytes()),
        };
        if socket.send(reply).await.is_err() {
            return;
        }
    }
}
