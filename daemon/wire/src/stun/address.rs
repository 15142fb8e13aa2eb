//! XOR-MAPPED-ADDRESS: an address that no NAT on the way rewrites (RFC 8489 §14.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAGIC, TransactionId};

/// Longest value: family, port, sixteen bytes.
pub(super) const LONGEST: usize = 20;

/// Reads the attribute's value.
pub(super) fn read(value: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let (&[_, family, high, low], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([high ^ MAGIC[0], low ^ MAGIC[1]]);
    let mask = mask(transaction);
    let ip = match family {
        1 => {
            let bytes: [u8; 4] = address.try_into().ok()?;
            IpAddr::V4(Ipv4Addr::from_octets(std::array::from_fn(|at| {
                bytes[at] ^ mask[at]
            })))
        }
        2 => {
            let bytes: [u8; 16] = address.try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from_octets(std::array::from_fn(|at| {
                bytes[at] ^ mask[at]
            })))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Writes the attribute's value and says how long it is.
pub(super) fn write(
    address: SocketAddr,
    transaction: TransactionId,
    out: &mut [u8; LONGEST],
) -> usize {
    let port = address.port().to_be_bytes();
    let mask = mask(transaction);
    let (family, bytes, len) = match address.ip() {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            (1, bytes, 4)
        }
        IpAddr::V6(v6) => (2, v6.octets(), 16),
    };
    out[..4].copy_from_slice(&[0, family, port[0] ^ MAGIC[0], port[1] ^ MAGIC[1]]);
    for (at, byte) in bytes[..len].iter().enumerate() {
        out[4 + at] = byte ^ mask[at];
    }
    4 + len
}

fn mask(TransactionId(id): TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC);
    mask[4..].copy_from_slice(&id);
    mask
}
