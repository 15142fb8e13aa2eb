//! `a=rtcp`: where RTCP goes if not to the next port (RFC 3605).

use super::host::Address;
use super::scan::Scan;
use super::{AttrKind, Error, Field, LineKind};
use crate::digits;

/// An `a=rtcp` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp<'b> {
    /// The port.
    pub port: u16,
    /// The address; that of the `c=` line if absent.
    pub address: Option<Address<'b>>,
}

impl<'b> Field<'b> for Rtcp<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Rtcp);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let port = scan.number()?;
        let has_address = scan.clone().next_word().is_some();
        let address = if has_address {
            Some(Address::scan(&mut scan)?)
        } else {
            None
        };
        Ok(Self { port, address })
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.port), out);
        if let Some(address) = self.address {
            out.push(b' ');
            address.print(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn both_forms_come_back_as_written() {
        same::<Rtcp<'_>>(b"53020");
        same::<Rtcp<'_>>(b"9 IN IP4 0.0.0.0");
        same::<Rtcp<'_>>(b"53020 IN IP6 2001:db8::1");
        assert_eq!(value::<Rtcp<'_>>(b"4001 ").address, None);
    }

    #[test]
    fn half_an_address_is_refused() {
        for bad in [&b"4001 IN"[..], b"4001 IN IP4", b"70000", b""] {
            refused::<Rtcp<'_>>(bad);
        }
    }
}
