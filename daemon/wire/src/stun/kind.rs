//! The first two words of a message: class, method, transaction (RFC 8489 §5).

use std::fmt;

/// What a message is to its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Expects a response.
    Request,
    /// Expects none.
    Indication,
    /// A response: done.
    Success,
    /// A response: refused.
    Error,
}

/// What a message asks for, 12 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub u16);

impl Method {
    /// The only method of ICE.
    pub const BINDING: Self = Self(1);
}

/// What joins a response to its request. Drawn at random: it is what an off-path attacker cannot know.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Takes the type field apart; its two highest bits are zero.
pub(super) const fn split(kind: u16) -> (Class, Method) {
    let class = match (kind & 0x100 != 0, kind & 0x10 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = kind & 0xf | kind >> 1 & 0x70 | kind >> 2 & 0xf80;
    (class, Method(method))
}

/// The type field of a class and a method.
pub(super) const fn join(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0,
        Class::Indication => 0x10,
        Class::Success => 0x100,
        Class::Error => 0x110,
    };
    let Method(method) = method;
    class | method & 0xf | (method & 0x70) << 1 | (method & 0xf80) << 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back_from_its_parts() {
        for kind in 0..0x4000 {
            let (class, method) = split(kind);
            assert_eq!(join(class, method), kind);
            assert!(method.0 < 0x1000);
        }
    }

    #[test]
    fn binding_has_the_four_types_of_the_rfc() {
        let types = [
            Class::Request,
            Class::Indication,
            Class::Success,
            Class::Error,
        ]
        .map(|class| join(class, Method::BINDING));
        assert_eq!(types, [0x0001, 0x0011, 0x0101, 0x0111]);
    }
}
