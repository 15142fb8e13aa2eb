//! The ClientHello, put together from its fragments and read before a library is chosen (RFC 6347
//! §4.2, RFC 5246 §7.4.1.2, RFC 5764 §4.1.1). Browsers send it in two datagrams.

use crate::profile::{Profile, Profiles};
use crate::record::{CLIENT_HELLO, Handshake, records};

/// The longest that is put together; post-quantum key shares take some 1,300 bytes.
pub const MAX_HELLO: usize = 8192;

const GROUPS: u16 = 10;
const SIGNATURES: u16 = 13;
const USE_SRTP: u16 = 14;
const EXTENDED_MASTER_SECRET: u16 = 23;
const VERSIONS: u16 = 43;

/// What a ClientHello says, as far as it bears on the choice of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The client's random: another one is another handshake.
    pub random: [u8; 32],
    /// It carries a cookie, so the client has heard a HelloVerifyRequest.
    pub cookie: bool,
    /// Cipher suites, by number.
    pub suites: Vec<u16>,
    /// Signature schemes, by number.
    pub signatures: Vec<u16>,
    /// Key exchange groups, by number.
    pub groups: Vec<u16>,
    /// Versions in `supported_versions`.
    pub versions: Vec<u16>,
    /// SRTP profiles, of those we know.
    pub profiles: Profiles,
    /// It offers the extended master secret (RFC 7627).
    pub extended_master_secret: bool,
}

impl Hello {
    /// Reads the body of a message; `None` if it is broken.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut rest = Reader(body);
        rest.take(2)?;
        let random = *rest.take(32)?.first_chunk()?;
        rest.vector8()?;
        let cookie = !rest.vector8()?.is_empty();
        let suites = numbers(rest.vector16()?);
        rest.vector8()?;
        let mut hello = Self {
            random,
            cookie,
            suites,
            signatures: Vec::new(),
            groups: Vec::new(),
            versions: Vec::new(),
            profiles: Profiles::NONE,
            extended_master_secret: false,
        };
        if !rest.0.is_empty() {
            let mut extensions = Reader(rest.vector16()?);
            while !extensions.0.is_empty() {
                let kind = extensions.number16()?;
                hello.extension(kind, Reader(extensions.vector16()?))?;
            }
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, mut body: Reader<'_>) -> Option<()> {
        match kind {
            GROUPS => self.groups = numbers(body.vector16()?),
            SIGNATURES => self.signatures = numbers(body.vector16()?),
            VERSIONS => self.versions = numbers(body.vector8()?),
            USE_SRTP => {
                let ids = numbers(body.vector16()?);
                self.profiles = ids.into_iter().filter_map(Profile::from_id).collect();
            }
            EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            _ => {}
        }
        Some(())
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk().copied().map(u16::from_be_bytes)
    }

    fn vector8(&mut self) -> Option<&'b [u8]> {
        let len = self.take(1)?[0];
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'b [u8]> {
        let len = self.number16()?;
        self.take(usize::from(len))
    }
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let (pairs, _) = bytes.as_chunks::<2>();
    pairs.iter().copied().map(u16::from_be_bytes).collect()
}

/// A ClientHello on its way in. Holds one message of at most [`MAX_HELLO`] bytes.
#[derive(Debug, Default)]
pub struct Gather {
    message: u16,
    body: Vec<u8>,
    filled: Vec<bool>,
    missing: usize,
}

impl Gather {
    /// Takes what a datagram has of a ClientHello; gives the hello that it completes.
    pub fn take(&mut self, datagram: &[u8]) -> Option<Hello> {
        let fragments = records(datagram).flat_map(|record| record.handshakes());
        fragments
            .filter(|fragment| fragment.kind == CLIENT_HELLO)
            .fold(None, |hello, fragment| self.fragment(&fragment).or(hello))
    }

    fn fragment(&mut self, fragment: &Handshake<'_>) -> Option<Hello> {
        if fragment.len == 0 || fragment.len > MAX_HELLO {
            return None;
        }
        let same = self.message == fragment.message && self.body.len() == fragment.len;
        if !same {
            *self = Self {
                message: fragment.message,
                body: vec![0; fragment.len],
                filled: vec![false; fragment.len],
                missing: fragment.len,
            };
        }
        let range = fragment.offset..fragment.offset + fragment.body.len();
        self.body[range.clone()].copy_from_slice(fragment.body);
        for filled in &mut self.filled[range] {
            self.missing -= usize::from(!*filled);
            *filled = true;
        }
        if self.missing > 0 {
            return None;
        }
        let hello = Hello::parse(&self.body);
        *self = Self::default();
        hello
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The body of a hello with these lists.
    pub(crate) fn body(random: u8, suites: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([random; 32]);
        body.extend([0, 0]);
        body.extend((suites.len() as u16 * 2).to_be_bytes());
        body.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
        body.extend([1, 0]);
        let mut all = Vec::new();
        for (kind, content) in extensions {
            all.extend(kind.to_be_bytes());
            all.extend((content.len() as u16).to_be_bytes());
            all.extend(content);
        }
        body.extend((all.len() as u16).to_be_bytes());
        body.extend(all);
        body
    }

    /// A list of 16-bit numbers behind its length in 16 bits.
    pub(crate) fn list(numbers: &[u16]) -> Vec<u8> {
        let len = (numbers.len() as u16 * 2).to_be_bytes();
        let numbers = numbers.iter().flat_map(|n| n.to_be_bytes());
        len.into_iter().chain(numbers).collect()
    }

    fn datagram(body: &[u8], message: u8, range: std::ops::Range<usize>) -> Vec<u8> {
        let fragment = &body[range.clone()];
        let len = (fragment.len() + 12) as u16;
        let mut out = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        out.extend(len.to_be_bytes());
        out.push(1);
        out.extend(&(body.len() as u32).to_be_bytes()[1..]);
        out.extend([0, message]);
        out.extend(&(range.start as u32).to_be_bytes()[1..]);
        out.extend(&(fragment.len() as u32).to_be_bytes()[1..]);
        out.extend(fragment);
        out
    }

    fn sample() -> Vec<u8> {
        let srtp = [list(&[8, 2, 77]), vec![0]].concat();
        body(
            9,
            &[0xc02b, 0x1302],
            &[
                (USE_SRTP, srtp),
                (EXTENDED_MASTER_SECRET, vec![]),
                (GROUPS, list(&[23, 29])),
                (VERSIONS, vec![4, 0xfe, 0xfc, 0xfe, 0xfd]),
            ],
        )
    }

    #[test]
    fn a_hello_tells_what_it_offers() {
        let hello = Hello::parse(&sample()).expect("a hello");
        assert_eq!(hello.suites, [0xc02b, 0x1302]);
        assert_eq!(hello.groups, [23, 29]);
        assert_eq!(hello.versions, [0xfefc, 0xfefd]);
        let profiles: Vec<_> = hello.profiles.iter().collect();
        assert_eq!(profiles, [Profile::Aes256Gcm, Profile::Aes128Sha1_32]);
        assert!(hello.extended_master_secret && !hello.cookie);
    }

    #[test]
    fn cut_anywhere_it_is_no_hello() {
        let body = sample();
        // Without extensions a hello is whole, so one cut is none.
        let bare = 2 + 32 + 1 + 1 + 2 + 4 + 2;
        for len in (0..body.len()).filter(|len| *len != bare) {
            assert_eq!(Hello::parse(&body[..len]), None, "{len}");
        }
    }

    #[test]
    fn fragments_make_a_hello_in_any_order() {
        let body = sample();
        let end = body.len();
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let parts = [0..20, 10..50, 50..end];
            let mut gather = Gather::default();
            let mut hellos = order.map(|i| gather.take(&datagram(&body, 0, parts[i].clone())));
            assert_eq!(hellos[2].take(), Hello::parse(&body), "{order:?}");
            assert_eq!(hellos, [None, None, None]);
        }
    }

    #[test]
    fn another_message_takes_the_place_of_an_unfinished_one() {
        let body = sample();
        let end = body.len();
        let mut gather = Gather::default();
        assert_eq!(gather.take(&datagram(&body, 0, 0..60)), None);
        assert_eq!(gather.take(&datagram(&body, 1, 60..end)), None);
        assert!(gather.take(&datagram(&body, 1, 0..60)).is_some());
    }

    #[test]
    fn a_message_too_long_holds_no_memory() {
        let mut gather = Gather::default();
        assert_eq!(gather.take(&datagram(&[0; MAX_HELLO + 1], 0, 0..9)), None);
        assert!(gather.body.is_empty());
    }
}
