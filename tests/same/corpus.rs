//! The frames that everybody should think of: every field of every header at its edges, one at a time, on a flow
//! of each pair of families, with each policy for strangers.

use patchcord_contract::{Endpoint, LONGEST};
use patchcord_media::flow::Stranger;
use patchcord_tests::{Family, receiver_report, rtp, sender_report};

use crate::frame::{Checksum, Shape, mend};
use crate::pair::{HEARD, Route, SSRC};
use crate::place::host;

/// A flow of one pair of families.
pub(crate) fn route(near: Family, far: Family, stranger: Stranger) -> Route {
    Route {
        source: host(near, 10, 4_000),
        local: host(near, 1, 30_000),
        from: host(far, 1, 30_002),
        to: host(far, 20, 5_000),
        stranger,
    }
}

/// Flows of all pairs of families, with both policies.
pub(crate) fn routes() -> Vec<Route> {
    let families = [Family::V4, Family::V6];
    let pairs = families.map(|near| families.map(|far| (near, far)));
    let policies = [Stranger::Drop, Stranger::Forward];
    pairs
        .into_iter()
        .flatten()
        .flat_map(|(near, far)| policies.map(|stranger| route(near, far, stranger)))
        .collect()
}

/// The same from an IPv4 host to where routes are of another kind.
pub(crate) fn detours() -> Vec<Route> {
    let to = |text: &str| Endpoint {
        addr: Endpoint::new(text.parse::<std::net::IpAddr>().expect("an address"), 0).addr,
        port: 5_000,
    };
    let usual = route(Family::V4, Family::V4, Stranger::Drop);
    [
        "203.0.113.9",
        "10.2.0.20",
        "192.0.2.99",
        "198.51.100.1",
        "10.1.0.20",
        "8.8.8.8",
    ]
    .map(|text| Route {
        to: to(text),
        ..usual
    })
    .into()
}

/// The packet that the stream goes on with.
pub(crate) fn next(ahead: u16, payload: usize) -> Vec<u8> {
    let sequence = HEARD.wrapping_add(ahead);
    rtp(
        sequence,
        u32::from(sequence).wrapping_mul(160),
        SSRC,
        &vec![0x2a; payload],
    )
}

/// An ordinary frame of the flow.
pub(crate) fn plain(route: &Route) -> Shape {
    Shape::new(route.source, route.local, &next(1, 160))
}

/// All frames, each with its name.
pub(crate) fn frames(route: &Route) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    all.extend(shaped(route));
    all.extend(payloads(route));
    all.extend(damaged(route));
    all
}

/// What a sender chooses.
pub(crate) fn shaped(route: &Route) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |name: &str, change: &dyn Fn(&mut Shape)| {
        let mut shape = plain(route);
        change(&mut shape);
        all.push((name.to_owned(), shape.bytes()));
    };
    add("plain", &|_| {});
    add("padded", &|s| s.padding = 6);
    add("tagged", &|s| s.tags = vec![5]);
    add("tagged with priority", &|s| s.tags = vec![0xe005]);
    add("tagged twice", &|s| s.tags = vec![5, 6]);
    add("tagged and padded", &|s| {
        s.tags = vec![5];
        s.padding = 3;
    });
    add("to a group", &|s| s.to = [1, 0, 0x5e, 0, 0, 1]);
    add("to all", &|s| s.to = [0xff; 6]);
    for tos in [1, 0xb8, 0xff] {
        add(&format!("tos {tos}"), &|s| s.tos = tos);
    }
    for ttl in [0, 1, 2, 255] {
        add(&format!("ttl {ttl}"), &|s| s.ttl = ttl);
    }
    for fragment in [0, 0x2000, 0x2001, 0x1fff, 0x6000, 0x8000] {
        add(&format!("fragment {fragment:x}"), &|s| {
            s.fragment = fragment;
        });
    }
    for words in 1..=10 {
        add(&format!("{words} words of options"), &|s| {
            s.options = vec![1; 4 * words];
        });
    }
    for protocol in [0, 1, 6, 17, 43, 44, 58, 60, 136, 255] {
        add(&format!("protocol {protocol}"), &|s| s.protocol = protocol);
    }
    for checksum in [Checksum::None, Checksum::Wrong, Checksum::Partial] {
        add(&format!("checksum {checksum:?}"), &|s| {
            s.checksum = checksum;
        });
        add(&format!("checksum {checksum:?}, padded"), &|s| {
            s.checksum = checksum;
            s.padding = 9;
        });
    }
    add("another source port", &|s| s.source.port += 1);
    add("another source port, tagged", &|s| {
        s.source.port += 1;
        s.tags = vec![5];
    });
    add("another source", &|s| s.source = s.local);
    add("another port", &|s| s.local.port += 2);
    add("another address", &|s| s.local.addr = s.source.addr);
    add("port zero", &|s| s.local.port = 0);
    all
}

/// What is in the datagram.
pub(crate) fn payloads(route: &Route) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: String, payload: Vec<u8>| all.push((name, payload));
    for len in (0..40).chain([
        500,
        1_459,
        1_460,
        1_461,
        1_472 - 12,
        1_472,
        usize::from(LONGEST) - 12,
        1_973,
    ]) {
        add(format!("{len} bytes of audio"), next(1, len));
        add(
            format!("cut to {len} bytes"),
            next(1, 2_000)[..len].to_vec(),
        );
    }
    let first = |byte: u8| [&[byte], &next(1, 160)[1..]].concat();
    for byte in 0..=255 {
        add(format!("first byte {byte}"), first(byte));
    }
    let second = |byte: u8| [&[0x80, byte], &next(1, 160)[2..]].concat();
    for byte in 0..=255 {
        add(format!("second byte {byte}"), second(byte));
    }
    for words in [0, 1, 39, 40, 41, 0x3fff, 0x4000, 0xffff_u16] {
        for contributors in [0, 1, 15] {
            let mut packet = first(0x90 | contributors);
            let at = 12 + 4 * usize::from(contributors);
            packet[at..at + 2].copy_from_slice(&[0xbe, 0xde]);
            packet[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
            add(
                format!("{contributors} contributors, {words} words of extension"),
                packet,
            );
        }
    }
    for ahead in [
        0, 2, 63, 64, 65, 523, 1_547, 2_999, 3_000, 3_001, 0x7fff, 0x8000,
    ] {
        add(format!("{ahead} ahead"), next(ahead, 160));
    }
    for behind in [1, 2, 3, 4, 5, 62, 63, 64, 65, 3_000] {
        add(
            format!("{behind} behind"),
            next(0_u16.wrapping_sub(behind), 160),
        );
    }
    add(
        "another stream".into(),
        rtp(HEARD + 1, 80_160, SSRC + 1, &[0; 160]),
    );
    add("a sender report".into(), sender_report(SSRC, 7));
    add("a receiver report".into(), receiver_report(SSRC));
    add("a binding request".into(), stun());
    add(
        "a client hello".into(),
        [&[22, 254, 255][..], &[0; 60]].concat(),
    );
    add(
        "ZRTP".into(),
        [&[16, 0, 0, 1][..], b"ZRTP", &[0; 60]].concat(),
    );
    all.into_iter()
        .map(|(name, payload)| {
            (
                name,
                Shape::new(route.source, route.local, &payload).bytes(),
            )
        })
        .collect()
}

fn stun() -> Vec<u8> {
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    request
}

/// What a wire or an enemy makes of an ordinary frame.
fn damaged(route: &Route) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for tags in [Vec::new(), vec![5]] {
        let link = 14 + 4 * tags.len();
        let whole = Shape {
            tags,
            ..plain(route)
        }
        .bytes();
        for len in 14..whole.len() {
            all.push((format!("{len} bytes of a frame"), whole[..len].to_vec()));
        }
        // Behind the addresses of the link: what one byte says, with sums that fit it or not.
        for at in 12..link + 40 + 8 + 12 {
            for change in [0x01, 0x10, 0x80, 0xff] {
                let mut frame = whole.clone();
                frame[at] ^= change;
                all.push((format!("byte {at} changed by {change:x}"), frame.clone()));
                mend(&mut frame, link);
                all.push((format!("byte {at} changed by {change:x}, mended"), frame));
            }
        }
        for at in [link + 2, link + 4, link + 20 + 4, link + 40 + 4] {
            for length in [
                0, 1, 7, 8, 19, 20, 27, 28, 39, 40, 171, 179, 181, 199, 201, 0xffff_u16,
            ] {
                let mut frame = whole.clone();
                frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
                mend(&mut frame, link);
                all.push((format!("{length} at {at}"), frame));
            }
        }
    }
    all
}
