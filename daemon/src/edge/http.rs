//! HTTP: NG by POST, metrics, health, and command lines; everything else may become a WebSocket.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use patchcord_wire::ng::Format;

use super::Edge;
use super::websocket;
use crate::figures::Transport;
use crate::ng::{Answer, Ask, Refused};

/// NG's content type.
const NG: &str = "application/x-rtpengine-ng";
/// Prometheus' content type.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const METHODS: &str = "GET, POST, OPTIONS";

/// All routes.
pub fn router(edge: Edge) -> Router {
    let limit = DefaultBodyLimit::max(edge.body);
    let watch = middleware::from_fn_with_state(edge.clone(), bounded);
    Router::new()
        .route("/ping", get(|| async { typed(TEXT, "pong\n") }))
        .route("/ng", post(unit))
        .route("/ng-plain", post(plain))
        .route("/cli", get(usage).post(posted_line))
        .route("/cli/{*line}", get(line))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(websocket::upgrade)
        .method_not_allowed_fallback(websocket::upgrade)
        .layer(limit)
        .layer(watch)
        .with_state(edge)
}

/// No request takes for ever, and every one may ask what is possible.
async fn bounded(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response();
    }
    match tokio::time::timeout(edge.patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response(),
    }
}

async fn unit(State(edge): State<Edge>, body: Bytes) -> Response {
    match edge
        .mailbox
        .ask(Transport::Http, Ask::Unit(body.into()))
        .await
    {
        Ok(Answer::Reply(reply, _)) => typed(NG, reply),
        Ok(Answer::Dropped | Answer::Text(_) | Answer::Done) => (
            StatusCode::BAD_REQUEST,
            "no cookie: use /ng-plain without one\n",
        )
            .into_response(),
        Err(refused) => unavailable(refused),
    }
}

async fn plain(State(edge): State<Edge>, body: Bytes) -> Response {
    match edge
        .mailbox
        .ask(Transport::Http, Ask::Plain(body.into()))
        .await
    {
        Ok(Answer::Reply(reply, Format::Json)) => typed("application/json", reply),
        Ok(Answer::Reply(reply, Format::Bencode)) => typed(NG, reply),
        Ok(Answer::Dropped | Answer::Text(_) | Answer::Done) => {
            StatusCode::BAD_REQUEST.into_response()
        }
        Err(refused) => unavailable(refused),
    }
}

async fn usage(State(edge): State<Edge>) -> Response {
    run(&edge, b"usage".to_vec()).await
}

/// `/cli/list+totals` is the line `list totals`.
async fn line(State(edge): State<Edge>, Path(line): Path<String>) -> Response {
    run(&edge, line.replace('+', " ").into_bytes()).await
}

async fn posted_line(State(edge): State<Edge>, body: Bytes) -> Response {
    run(&edge, body.into()).await
}

async fn run(edge: &Edge, line: Vec<u8>) -> Response {
    match edge.mailbox.ask(Transport::Http, Ask::Line(line)).await {
        Ok(Answer::Text(text)) => typed(TEXT, text),
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(refused) => unavailable(refused),
    }
}

async fn metrics(State(edge): State<Edge>) -> Response {
    if let Err(refused) = edge.mailbox.ask(Transport::Http, Ask::Refresh).await {
        return unavailable(refused);
    }
    match edge.metrics.text() {
        Ok(text) => typed(PROMETHEUS, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Alive is a process whose control loop answers.
async fn healthz(State(edge): State<Edge>) -> Response {
    match edge.mailbox.ask(Transport::Http, Ask::Refresh).await {
        Ok(_) => typed(TEXT, "ok\n"),
        Err(refused) => unavailable(refused),
    }
}

/// Ready is one that takes new calls.
async fn readyz(State(edge): State<Edge>) -> Response {
    if let Err(refused) = edge.mailbox.ask(Transport::Http, Ask::Refresh).await {
        return unavailable(refused);
    }
    if edge.figures.is_ready() {
        typed(TEXT, "ready\n")
    } else if edge.figures.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response()
    }
}

fn typed(kind: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn unavailable(refused: Refused) -> Response {
    let text = match refused {
        Refused::Busy => "too many requests wait\n",
        Refused::Gone => "the relay ends\n",
    };
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}
