//! SDP that keeps what it does not understand (RFC 8866, offer and answer by RFC 3264).
//!
//! A body is held as bytes and indexed once, in one pass, into lines and sections ([`Sdp`],
//! [`Section`], [`Line`], [`LineKind`]). Values are read on demand, one type a file, all by the same
//! trait ([`Field`]). A new body is composed with a [`Writer`]: lines of others are copied byte for
//! byte, lines of our own are typed. So whatever is not touched stays as it was: Latin-1 bytes, bare
//! LF, lines in odd order, missing lines, blanks at the end, a last line without an end.
//!
//! ```
//! use patchcord_wire::sdp::{AttrKind, Connection, Direction, LineKind, Sdp, Writer};
//!
//! let body = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=x\r\n";
//! let sdp = Sdp::parse(body)?;
//! let section = sdp.media(0).expect("one media section");
//! let mut line = section.media()?;
//! assert_eq!(section.direction(), Direction::Sendrecv);
//!
//! let mut out = Writer::new(sdp.eol(), body.len());
//! out.raw_all(sdp.session().lines().filter(|l| l.kind() != LineKind::Connection));
//! line.port = 30000;
//! out.put(&line);
//! out.put(&Connection::from(std::net::IpAddr::from([192, 0, 2, 1])));
//! out.raw_all(section.lines_of(LineKind::Attr(AttrKind::Other)));
//! out.direction(section.direction());
//! assert!(out.finish().ends_with(b"m=audio 30000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\na=x\r\na=sendrecv\r\n"));
//! # Ok::<(), patchcord_wire::sdp::Error>(())
//! ```

pub mod base64;

mod bandwidth;
mod candidate;
mod check;
mod compare;
mod connection;
mod crypto;
mod direction;
mod edit;
mod error;
mod extmap;
mod field;
mod fingerprint;
mod fmtp;
mod formats;
mod group;
mod host;
mod ice_credentials;
mod ice_options;
mod index;
mod kind;
mod label;
mod line;
mod media;
mod mid;
mod msid;
mod origin;
mod ptime;
mod rid;
mod rtcp;
mod rtcp_fb;
mod rtpmap;
mod scan;
mod section;
mod setup;
mod ssrc;
mod ssrc_group;
mod static_payload;
mod tls_id;
mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bandwidth::Bandwidth;
pub use candidate::{Candidate, CandidateKind};
pub use compare::{same_but_version, version_span};
pub use connection::Connection;
pub use crypto::{Crypto, InlineKey, Lifetime, Mki, SessionParameter};
pub use direction::Direction;
pub use edit::{Edit, Edits, Scope};
pub use error::{Error, ErrorKind};
pub use extmap::Extmap;
pub use field::Field;
pub use fingerprint::{Fingerprint, HashName};
pub use fmtp::Fmtp;
pub use formats::Formats;
pub use group::Group;
pub use host::{Address, Family, Host};
pub use ice_credentials::{IcePwd, IceUfrag};
pub use ice_options::IceOptions;
pub use index::{Limits, Sdp};
pub use kind::{AttrKind, AttrSet, LineKind};
pub use label::MediaLabel;
pub use line::Line;
pub use media::{MediaKind, MediaLine};
pub use msid::Msid;
pub use origin::{Origin, Version};
pub use ptime::{Maxptime, Ptime};
pub use rid::{Rid, RidDirection};
pub use rtcp::Rtcp;
pub use rtcp_fb::RtcpFb;
pub use rtpmap::Rtpmap;
pub use section::Section;
pub use setup::Setup;
pub use ssrc::SsrcAttr;
pub use ssrc_group::SsrcGroup;
pub use static_payload::static_rtpmap;
pub use tls_id::TlsId;
pub use writer::{Eol, Writer};
