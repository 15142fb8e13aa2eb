//! What a line is, by its letter and its attribute name (RFC 8866 §5, §5.13).

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// `v=`
    Version,
    /// `o=`
    Origin,
    /// `s=`
    Name,
    /// `i=`
    Information,
    /// `u=`
    Uri,
    /// `e=`
    Email,
    /// `p=`
    Phone,
    /// `c=`
    Connection,
    /// `b=`
    Bandwidth,
    /// `t=`
    Time,
    /// `r=`
    Repeat,
    /// `z=`
    Zone,
    /// `k=`
    Key,
    /// `m=`
    Media,
    /// `a=`
    Attr(AttrKind),
    /// Another letter and an equals sign.
    Unknown,
    /// Not of the form `x=value`, an empty line for instance.
    Malformed,
}

impl LineKind {
    /// The letter before the equals sign; `None` for [`Self::Unknown`] and [`Self::Malformed`].
    pub const fn letter(self) -> Option<u8> {
        Some(match self {
            Self::Version => b'v',
            Self::Origin => b'o',
            Self::Name => b's',
            Self::Information => b'i',
            Self::Uri => b'u',
            Self::Email => b'e',
            Self::Phone => b'p',
            Self::Connection => b'c',
            Self::Bandwidth => b'b',
            Self::Time => b't',
            Self::Repeat => b'r',
            Self::Zone => b'z',
            Self::Key => b'k',
            Self::Media => b'm',
            Self::Attr(_) => b'a',
            Self::Unknown | Self::Malformed => return None,
        })
    }

    /// The attribute, if this is an `a=` line.
    pub const fn attr(self) -> Option<AttrKind> {
        if let Self::Attr(kind) = self {
            Some(kind)
        } else {
            None
        }
    }

    /// Tells what `line` (without its line end) is, and where its value begins; 0 without a value.
    #[inline]
    pub(super) fn of(line: &[u8]) -> (Self, u8) {
        let [letter, b'=', rest @ ..] = line else {
            return (Self::Malformed, 0);
        };
        let kind = match letter {
            b'a' => return AttrKind::of(rest),
            b'v' => Self::Version,
            b'o' => Self::Origin,
            b's' => Self::Name,
            b'i' => Self::Information,
            b'u' => Self::Uri,
            b'e' => Self::Email,
            b'p' => Self::Phone,
            b'c' => Self::Connection,
            b'b' => Self::Bandwidth,
            b't' => Self::Time,
            b'r' => Self::Repeat,
            b'z' => Self::Zone,
            b'k' => Self::Key,
            b'm' => Self::Media,
            _ => Self::Unknown,
        };
        (kind, 2)
    }
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The attributes that a relay has a reason to recognise; all others are [`Self::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum AttrKind {
            $($(#[$doc])* $variant,)*
            /// Any other attribute.
            Other,
        }

        impl AttrKind {
            /// All but [`Self::Other`].
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name as it stands after `a=`; empty for [`Self::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => const { text($name) },)*
                    Self::Other => "",
                }
            }

            /// The attribute of that name. Names are case-sensitive (RFC 8866 §5).
            #[inline]
            pub fn from_name(name: &[u8]) -> Self {
                const { assert!(Self::ALL.len() < 64, "a section's attributes fit one word") };
                match name {
                    $($name => Self::$variant,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

attributes! {
    /// RFC 8866 §6.6
    Rtpmap = b"rtpmap",
    /// RFC 8866 §6.15
    Fmtp = b"fmtp",
    /// RFC 4585 §4.2
    RtcpFb = b"rtcp-fb",
    /// RFC 8866 §6.4
    Ptime = b"ptime",
    /// RFC 8866 §6.5
    Maxptime = b"maxptime",
    /// RFC 8866 §6.7
    Sendrecv = b"sendrecv",
    /// RFC 8866 §6.7
    Sendonly = b"sendonly",
    /// RFC 8866 §6.7
    Recvonly = b"recvonly",
    /// RFC 8866 §6.7
    Inactive = b"inactive",
    /// RFC 3605
    Rtcp = b"rtcp",
    /// RFC 5761 §5.1.1
    RtcpMux = b"rtcp-mux",
    /// RFC 8858
    RtcpMuxOnly = b"rtcp-mux-only",
    /// RFC 5506 §5
    RtcpRsize = b"rtcp-rsize",
    /// RFC 3611 §5
    RtcpXr = b"rtcp-xr",
    /// RFC 5888 §4
    Mid = b"mid",
    /// RFC 5888 §5
    Group = b"group",
    /// RFC 9143 §6
    BundleOnly = b"bundle-only",
    /// RFC 8839 §5.1
    Candidate = b"candidate",
    /// RFC 8839 §5.2
    RemoteCandidates = b"remote-candidates",
    /// RFC 8840 §8.2
    EndOfCandidates = b"end-of-candidates",
    /// RFC 8839 §5.4
    IceUfrag = b"ice-ufrag",
    /// RFC 8839 §5.4
    IcePwd = b"ice-pwd",
    /// RFC 8839 §5.6
    IceOptions = b"ice-options",
    /// RFC 8839 §5.3
    IceLite = b"ice-lite",
    /// RFC 8839 §5.3
    IceMismatch = b"ice-mismatch",
    /// RFC 8839 §5.5
    IcePacing = b"ice-pacing",
    /// RFC 8122 §5
    Fingerprint = b"fingerprint",
    /// RFC 4145 §4
    Setup = b"setup",
    /// RFC 4145 §5
    Connection = b"connection",
    /// RFC 8842 §4
    TlsId = b"tls-id",
    /// RFC 4568 §4
    Crypto = b"crypto",
    /// RFC 4567 §3
    KeyMgmt = b"key-mgmt",
    /// RFC 6189 §8.1
    ZrtpHash = b"zrtp-hash",
    /// RFC 8285 §8
    Extmap = b"extmap",
    /// RFC 8285 §6
    ExtmapAllowMixed = b"extmap-allow-mixed",
    /// RFC 5576 §4.1
    Ssrc = b"ssrc",
    /// RFC 5576 §4.2
    SsrcGroup = b"ssrc-group",
    /// RFC 8830 §2
    Msid = b"msid",
    /// RFC 8830 (draft form, used by browsers)
    MsidSemantic = b"msid-semantic",
    /// RFC 4574 §4
    Label = b"label",
    /// RFC 8851 §4
    Rid = b"rid",
    /// RFC 8853 §5.1
    Simulcast = b"simulcast",
    /// RFC 8841 §5
    SctpPort = b"sctp-port",
    /// RFC 8841 (draft form, used by older browsers)
    Sctpmap = b"sctpmap",
    /// RFC 8841 §6
    MaxMessageSize = b"max-message-size",
    /// RFC 4570 §3
    SourceFilter = b"source-filter",
    /// The relay's own mark, by which it knows a body that it wrote itself (loop protection).
    Patchcord = b"patchcord",
}

impl AttrKind {
    /// Longest name there is; what is longer is [`Self::Other`] without a look.
    const LONGEST: usize = 20;

    /// Tells which attribute `rest`, what stands after `a=`, is, and where its value begins.
    #[inline]
    fn of(rest: &[u8]) -> (LineKind, u8) {
        let head = &rest[..rest.len().min(Self::LONGEST + 1)];
        let (name, value) = match head.iter().position(|b| *b == b':') {
            Some(colon) => (&head[..colon], 2 + colon as u8 + 1),
            None => (rest.trim_ascii_end(), 0),
        };
        if name.len() > Self::LONGEST {
            return (LineKind::Attr(Self::Other), 0);
        }
        (LineKind::Attr(Self::from_name(name)), value)
    }
}

/// A set of attributes; all that are [`AttrKind::Other`] count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttrSet(u64);

impl AttrSet {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The set of these attributes.
    pub const fn of(kinds: &[AttrKind]) -> Self {
        let (mut set, mut i) = (Self::NONE, 0);
        while i < kinds.len() {
            set = set.with(kinds[i]);
            i += 1;
        }
        set
    }

    /// The set and one more attribute.
    #[must_use]
    pub const fn with(self, kind: AttrKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// The attributes of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether an attribute is in it.
    pub const fn contains(self, kind: AttrKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    /// Whether the sets have an attribute in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The text of an attribute's name.
const fn text(name: &'static [u8]) -> &'static str {
    match std::str::from_utf8(name) {
        Ok(text) => text,
        Err(_) => panic!("names are ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_attribute() {
        for kind in AttrKind::ALL {
            assert_eq!(AttrKind::from_name(kind.name().as_bytes()), *kind);
            assert!(kind.name().len() <= AttrKind::LONGEST);
        }
    }

    #[test]
    fn sets_hold_what_was_put_in_them() {
        const ICE: AttrSet = AttrSet::of(&[AttrKind::IceUfrag, AttrKind::Candidate]);
        for kind in AttrKind::ALL {
            let within = matches!(kind, AttrKind::IceUfrag | AttrKind::Candidate);
            assert_eq!(ICE.contains(*kind), within);
            assert_eq!(ICE.meets(AttrSet::of(&[*kind])), within);
            assert!(ICE.union(AttrSet::NONE.with(*kind)).contains(*kind));
        }
        assert!(!ICE.contains(AttrKind::Other));
    }

    #[test]
    fn trailing_blanks_do_not_hide_a_flag() {
        assert_eq!(
            LineKind::of(b"a=sendrecv  "),
            (LineKind::Attr(AttrKind::Sendrecv), 0)
        );
        assert_eq!(LineKind::of(b"a=mid:0"), (LineKind::Attr(AttrKind::Mid), 6));
    }

    #[test]
    fn names_are_matched_whole_and_by_case() {
        for other in [
            &b"a=rtcp-mu"[..],
            b"a=rtcp-muxx",
            b"a=RTCP-MUX",
            b"a=",
            b"a=:x",
        ] {
            assert_eq!(LineKind::of(other).0, LineKind::Attr(AttrKind::Other));
        }
    }

    #[test]
    fn lines_without_letter_and_equals_are_malformed() {
        for bad in [&b""[..], b"a", b"=", b"hello", b" a=b"] {
            assert_eq!(LineKind::of(bad), (LineKind::Malformed, 0));
        }
        assert_eq!(LineKind::of(b"x=y").0, LineKind::Unknown);
    }

    #[test]
    fn a_kind_is_one_byte() {
        assert_eq!(size_of::<LineKind>(), 1);
    }
}
