//! As much of ICE as a peer with one address needs: it checks the one candidate that it was told, says
//! that this is the one, and answers checks (RFC 8445 §2.5).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use patchcord_wire::stun::{Class, Key, Message, Method, Role, TransactionId, Writer};

use crate::Sdp;

/// Between two checks.
const PACE: Duration = Duration::from_millis(20);
const UFRAG: &str = "phone";
const PWD: &str = "0123456789abcdefghijkl";

/// One side, on one port.
pub(crate) struct Ice {
    /// Whether it offered: then it is the one to choose.
    chooses: bool,
    peer: Option<(String, Key)>,
    checked: Option<Instant>,
    count: u32,
    /// Whether its next check does not choose yet.
    weighs: bool,
    /// Whether a check of its own was answered.
    pub(crate) is_answered: bool,
}

impl Ice {
    pub(crate) fn new() -> Self {
        Self {
            chooses: true,
            peer: None,
            checked: None,
            count: 0,
            weighs: false,
            is_answered: false,
        }
    }

    /// Its lines.
    pub(crate) fn describe(sdp: Sdp, place: SocketAddr) -> Sdp {
        sdp.with(&format!("a=ice-ufrag:{UFRAG}"))
            .with(&format!("a=ice-pwd:{PWD}"))
            .with(&format!(
                "a=candidate:1 1 UDP 2130706431 {} {} typ host",
                place.ip(),
                place.port()
            ))
            .with("a=end-of-candidates")
    }

    /// Takes the other side's credentials; `offered` if they come in an offer.
    ///
    /// # Panics
    /// Where there are none.
    pub(crate) fn hear(&mut self, sdp: &Sdp, index: usize) {
        let value = |name| sdp.value(index, name).map(str::to_owned);
        let (Some(ufrag), Some(pwd)) = (value("ice-ufrag"), value("ice-pwd")) else {
            panic!("no ICE in\n{}", sdp.text());
        };
        self.peer = Some((ufrag, Key::new(pwd.as_bytes())));
    }

    /// It checks another path before it chooses it (regular nomination, RFC 8445 §8.1.1).
    pub(crate) fn begin_anew(&mut self) {
        self.is_answered = false;
        self.weighs = true;
    }

    /// Who was offered to does not choose.
    pub(crate) fn yields(&mut self) {
        self.chooses = false;
    }

    /// The next check, if it is time for one.
    pub(crate) fn check(&mut self) -> Option<Vec<u8>> {
        let due = self.checked.is_none_or(|last| last.elapsed() >= PACE);
        let (ufrag, key) = self.peer.as_ref().filter(|_| due && !self.is_answered)?;
        self.checked = Some(Instant::now());
        self.count += 1;
        let mut transaction = [7; 12];
        transaction[..4].copy_from_slice(&self.count.to_be_bytes());
        transaction[4] = u8::from(self.weighs);
        let mut buffer = [0; 256];
        let transaction = TransactionId(transaction);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, transaction);
        writer.username(ufrag.as_bytes(), UFRAG.as_bytes());
        writer.priority(1_862_270_975);
        if self.chooses {
            writer.role(Role::Controlling(1));
            if !self.weighs {
                writer.use_candidate();
            }
        } else {
            writer.role(Role::Controlled(1));
        }
        let len = writer.finish(key).expect("it fits");
        Some(buffer[..len].to_vec())
    }

    /// Takes a STUN message; returns its answer.
    pub(crate) fn take(&mut self, source: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let message = Message::parse(datagram).ok()?;
        let own = Key::new(PWD.as_bytes());
        match message.class {
            Class::Request if message.verify(&own) => {
                let mut buffer = [0; 256];
                let (class, transaction) = (Class::Success, message.transaction);
                let mut writer = Writer::new(&mut buffer, class, Method::BINDING, transaction);
                writer.mapped(source);
                let len = writer.finish(&own).expect("it fits");
                Some(buffer[..len].to_vec())
            }
            Class::Success => {
                let (_, key) = self.peer.as_ref()?;
                if message.verify(key) {
                    // Of several checks that only weighed, the later answers choose nothing.
                    self.is_answered |= message.transaction.0[4] == 0;
                    self.weighs = false;
                }
                None
            }
            Class::Request | Class::Indication | Class::Error => None,
        }
    }
}
