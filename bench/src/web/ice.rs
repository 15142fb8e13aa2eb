//! The lite side of ICE: it says where it is and answers checks (RFC 8445 §2.5, §7.3).

use std::net::SocketAddr;

use patchcord_wire::stun::{Class, Key, Message, Method, Writer};

/// Its credentials. They keep nobody out: everything here is ours.
pub(super) const UFRAG: &str = "load";
pub(super) const PWD: &str = "patchloadpatchloadpatch";

/// Answers checks.
pub(super) struct Lite {
    key: Key,
}

impl Lite {
    pub(super) fn new() -> Self {
        Self {
            key: Key::new(PWD.as_bytes()),
        }
    }

    /// The answer to a check, in `out`; its length.
    pub(super) fn answer(&self, from: SocketAddr, check: &[u8], out: &mut [u8]) -> Option<usize> {
        let message = Message::parse(check).ok()?;
        if message.class != Class::Request || !message.verify(&self.key) {
            return None;
        }
        let (class, transaction) = (Class::Success, message.transaction);
        let mut writer = Writer::new(out, class, Method::BINDING, transaction);
        writer.mapped(from);
        writer.finish(&self.key)
    }
}
