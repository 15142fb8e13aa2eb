//! What both browsers' remote protocols have in common: JSON over a WebSocket, results matched by number.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use patchcord_tests::Netns;
use serde_json::{Map, Value, json};
use tungstenite::{Message, WebSocket, client};

/// How long a browser may take over one command. Two of them on two cores are slow to start.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one read blocks before the clock is looked at.
const TURN: Duration = Duration::from_millis(500);

/// A connection to a browser's remote agent.
pub(crate) struct Wire {
    socket: WebSocket<TcpStream>,
    next: u64,
    /// Keys that every message carries beside its own: the session of DevTools.
    common: Map<String, Value>,
}

impl Wire {
    /// Connects to the agent at `path` of `server` in `netns`.
    pub(crate) fn connect(netns: &Netns, server: SocketAddr, path: &str) -> Self {
        let stream = netns.run(move || TcpStream::connect_timeout(&server, PATIENCE));
        let stream = stream.expect("the agent listens");
        let turn = |stream: &TcpStream, limit| {
            let set = stream.set_read_timeout(Some(limit));
            set.expect("a valid timeout");
        };
        turn(&stream, PATIENCE);
        stream.set_nodelay(true).expect("a socket of ours");
        let (socket, _) = client(format!("ws://{server}{path}"), stream).expect("a handshake");
        turn(socket.get_ref(), TURN);
        Self {
            socket,
            next: 0,
            common: Map::new(),
        }
    }

    /// From here on each message carries this key too.
    pub(crate) fn always(&mut self, key: &str, value: Value) {
        self.common.insert(key.to_owned(), value);
    }

    /// One command and its result.
    ///
    /// # Panics
    /// Where the browser refuses it, or says nothing in time.
    pub(crate) fn command(&mut self, method: &str, parameters: &Value) -> Value {
        let done = self.attempt(method, parameters);
        done.unwrap_or_else(|error| panic!("{method} {parameters}: {error}"))
    }

    /// One command and its result, or why there is none.
    pub(crate) fn attempt(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        let fields = message.as_object_mut().expect("made above");
        fields.extend(self.common.clone());
        let text = Message::text(message.to_string());
        let gone = |error: tungstenite::Error| format!("the browser has gone: {error}");
        self.socket.send(text).map_err(gone)?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Some(mut reply) = self.receive().map_err(gone)? else {
                continue;
            };
            if reply["id"] != self.next {
                continue;
            }
            if !reply["error"].is_null() {
                return Err(reply.to_string());
            }
            return Ok(reply["result"].take());
        }
        Err("the browser says nothing".to_owned())
    }

    /// The next message, an event or a result, if there is one in this turn.
    fn receive(&mut self) -> Result<Option<Value>, tungstenite::Error> {
        match self.socket.read() {
            Ok(Message::Text(text)) => Ok(serde_json::from_str(&text).ok()),
            Ok(_) => Ok(None),
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
