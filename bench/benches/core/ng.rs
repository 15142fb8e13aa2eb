//! Messages: a proxy's request read, a reply written, a browser's SDP indexed.

use std::hint::black_box;

use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::ng::{self, Command, Format, Reply, Request};
use patchcord_wire::sdp::Sdp;

use crate::Case;

pub(crate) const CASES: [Case; 3] = [
    Case {
        name: "ng/read-offer",
        make: read_offer,
    },
    Case {
        name: "ng/write-reply",
        make: write_reply,
    },
    Case {
        name: "sdp/index-browser-offer",
        make: index_browser_offer,
    },
];

/// What a phone offers.
pub(crate) const PHONE: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.10\r\n\
    s=call\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49170 RTP/AVP 8 0 9 101\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// An offer or answer with the keys that Kamailio's default script sends.
pub(crate) fn request(command: Command, call: u64, sdp: &str) -> Vec<u8> {
    let mut request = RequestBuilder::new(command)
        .with_list("supports", ["load limit"])
        .with_list("replace", ["origin", "session-connection"])
        .with("sip-message-type", "sip_request")
        .with("call-id", format!("{call:016x}@192.0.2.10"))
        .with("from-tag", format!("from-{call:x}"))
        .with_list("received-from", ["IP4", "192.0.2.10"]);
    if command != Command::Offer {
        request = request.with("to-tag", format!("to-{call:x}"));
    }
    if command != Command::Delete {
        request = request.with("sdp", sdp);
    }
    request.to_bytes(
        Some(format!("12345_{call}_{}", command.as_str()).as_bytes()),
        Format::Bencode,
    )
}

fn read_offer() -> Box<dyn FnMut()> {
    let datagram = request(Command::Offer, 1, PHONE);
    Box::new(move || {
        let envelope = ng::parse(black_box(&datagram)).expect("well-formed");
        let (request, warnings) = Request::parse(&envelope.body);
        black_box((request.expect("an offer"), warnings));
    })
}

fn write_reply() -> Box<dyn FnMut()> {
    Box::new(|| {
        let reply = Reply::sdp(black_box(PHONE).as_bytes());
        black_box(reply.to_bytes(Some(b"12345_1_offer"), Format::Bencode));
    })
}

const TRANSPORT: [&str; 8] = [
    "c=IN IP4 0.0.0.0",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=ice-ufrag:Tq3x",
    "a=ice-pwd:dGhpcyBpcyBhIHB3ZCBmb3IgaWNl",
    "a=setup:actpass",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtcp-rsize",
];

/// Two sections, bundled, with ICE, DTLS, feedback and header extensions, as browsers write them.
fn index_browser_offer() -> Box<dyn FnMut()> {
    let mut sdp = String::from(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
         a=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS stream\r\n",
    );
    for (mid, kind, formats) in [(0, "audio", 8_u32), (1, "video", 16)] {
        let numbers: Vec<String> = (96..96 + formats).map(|n| n.to_string()).collect();
        let mut lines = vec![format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {}",
            numbers.join(" ")
        )];
        lines.extend(TRANSPORT.map(str::to_owned));
        lines.push(format!("a=mid:{mid}"));
        lines.extend((1..9).map(|n| format!("a=extmap:{n} urn:ietf:params:rtp-hdrext:number-{n}")));
        for number in &numbers {
            lines.push(format!("a=rtpmap:{number} codec/90000"));
            lines.push(format!("a=rtcp-fb:{number} nack pli"));
            lines.push(format!(
                "a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1"
            ));
        }
        sdp.push_str(&lines.join("\r\n"));
        sdp.push_str("\r\n");
    }
    Box::new(move || {
        black_box(Sdp::parse(black_box(sdp.as_bytes())).expect("well-formed"));
    })
}
