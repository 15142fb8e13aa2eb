//! Payload types that mean a codec without an `a=rtpmap` (RFC 3551 §6, tables 4 and 5).

use super::Rtpmap;
use crate::ids::PayloadType;

/// Payload type, encoding name, clock rate, channels if more than one.
type Row = (u8, &'static [u8], u32, Option<&'static [u8]>);

/// The assigned ones, in order.
const TABLE: [Row; 24] = [
    (0, b"PCMU", 8000, None),
    (3, b"GSM", 8000, None),
    (4, b"G723", 8000, None),
    (5, b"DVI4", 8000, None),
    (6, b"DVI4", 16000, None),
    (7, b"LPC", 8000, None),
    (8, b"PCMA", 8000, None),
    (9, b"G722", 8000, None),
    (10, b"L16", 44100, Some(b"2")),
    (11, b"L16", 44100, None),
    (12, b"QCELP", 8000, None),
    (13, b"CN", 8000, None),
    (14, b"MPA", 90000, None),
    (15, b"G728", 8000, None),
    (16, b"DVI4", 11025, None),
    (17, b"DVI4", 22050, None),
    (18, b"G729", 8000, None),
    (25, b"CelB", 90000, None),
    (26, b"JPEG", 90000, None),
    (28, b"nv", 90000, None),
    (31, b"H261", 90000, None),
    (32, b"MPV", 90000, None),
    (33, b"MP2T", 90000, None),
    (34, b"H263", 90000, None),
];

/// What `payload_type` means without an `a=rtpmap`; `None` for unassigned and dynamic ones.
pub fn static_rtpmap(payload_type: PayloadType) -> Option<Rtpmap<'static>> {
    let at = TABLE
        .binary_search_by_key(&payload_type.get(), |row| row.0)
        .ok()?;
    let (_, encoding, rate, parameters) = TABLE[at];
    Some(Rtpmap {
        payload_type,
        encoding,
        rate,
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_below_96() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TABLE.iter().all(|row| row.0 < 96));
    }

    #[test]
    fn the_usual_ones_are_found() {
        let printed = |n| {
            let map = static_rtpmap(PayloadType::new(n).expect("a payload type"))?;
            let mut out = Vec::new();
            map.print(&mut out);
            String::from_utf8(out).ok()
        };
        assert_eq!(printed(0).as_deref(), Some("0 PCMU/8000"));
        assert_eq!(printed(9).as_deref(), Some("9 G722/8000"));
        assert_eq!(printed(10).as_deref(), Some("10 L16/44100/2"));
        assert_eq!(printed(18).as_deref(), Some("18 G729/8000"));
        assert_eq!(printed(1), None);
        assert_eq!(printed(96), None);
    }
}
