//! Compounds by hand, and agreement with another implementation.

use proptest::prelude::*;
use rtcp_types::Packet as Theirs;

use super::*;
use crate::ids::Ssrc;

/// A packet of this count, type and body, without padding.
fn packet(count: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    assert_eq!(body.len() % 4, 0, "RTCP counts in words");
    let mut packet = vec![0x80 | count, kind];
    packet.extend((body.len() as u16 / 4).to_be_bytes());
    packet.extend(body);
    packet
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

/// SR with one block, SDES with a CNAME, as phones send it.
fn ordinary() -> Vec<u8> {
    let report = words(&[7, 0x1234_5678, 0x8000_0000, 160, 10, 1600]);
    let block = words(&[9, 0x40ff_ffff, 0x0001_0002, 5, 0x5678_8000, 0x0001_0000]);
    let mut compound = packet(1, 200, &[report, block].concat());
    compound.extend(packet(1, 202, b"\0\0\0\x07\x01\x05a@b.c\0\0\0\0\0"));
    compound
}

fn pli() -> Vec<u8> {
    packet(1, 206, &words(&[7, 9]))
}

fn kinds(datagram: &[u8]) -> Vec<PacketType> {
    Compound::parse(datagram)
        .expect("well-formed")
        .packets()
        .map(|p| p.kind())
        .collect()
}

#[test]
fn an_ordinary_compound_is_read() {
    let datagram = ordinary();
    let compound = Compound::parse(&datagram).expect("well-formed");
    assert!(compound.begins_with_report());
    assert_eq!(compound.sender(), Some(Ssrc(7)));
    let packets: Vec<_> = compound.packets().collect();
    let report = SenderReport::of(&packets[0]).expect("a sender report");
    assert_eq!(report.ntp.middle(), 0x5678_8000);
    assert_eq!(
        (report.rtp_timestamp, report.packets, report.octets),
        (160, 10, 1600)
    );
    let block = report.blocks().next().expect("one block");
    assert_eq!(
        (block.ssrc, block.fraction_lost, block.cumulative_lost),
        (9, 64, -1)
    );
    assert_eq!((block.highest_sequence, block.jitter), (0x0001_0002, 5));
    assert_eq!(
        (block.last_sr, block.delay_since_last_sr),
        (0x5678_8000, 0x0001_0000)
    );
    let sdes = Sdes::of(&packets[1]).expect("a source description");
    let chunk = sdes.chunks().next().expect("one chunk");
    assert_eq!(
        (chunk.ssrc, chunk.get(item::CNAME)),
        (Ssrc(7), Some(&b"a@b.c"[..]))
    );
    assert!(ReceiverReport::of(&packets[0]).is_none());
}

#[test]
fn a_compound_cut_off_anywhere_but_between_packets_is_refused() {
    let datagram = ordinary();
    for end in 0..datagram.len() {
        assert_eq!(
            Compound::parse(&datagram[..end]).is_ok(),
            end == 52,
            "{end}"
        );
    }
}

#[test]
fn wrong_versions_types_and_lengths_are_told_with_their_place() {
    let mut datagram = ordinary();
    datagram[52] = 0x41;
    assert_eq!(
        Compound::parse(&datagram).map(|_| ()),
        Err(RtcpError::Version(52))
    );
    let mut datagram = ordinary();
    datagram[53] = 96;
    assert_eq!(
        Compound::parse(&datagram).map(|_| ()),
        Err(RtcpError::Type(52))
    );
    let mut datagram = ordinary();
    datagram[55] = 200;
    assert_eq!(
        Compound::parse(&datagram).map(|_| ()),
        Err(RtcpError::Length(52))
    );
    datagram.truncate(7);
    assert_eq!(
        Compound::parse(&datagram).map(|_| ()),
        Err(RtcpError::Short(7))
    );
}

#[test]
fn padding_is_for_the_last_packet_only() {
    let padded = |first: u8, count: u8| {
        let mut datagram = [ordinary(), packet(0, 203, &[0, 0, 0, count])].concat();
        datagram[0] |= first;
        datagram[72] |= 0x20;
        datagram
    };
    let datagram = padded(0, 4);
    let compound = Compound::parse(&datagram).expect("padding at the end");
    assert_eq!(compound.packets().last().map(|p| p.body().len()), Some(0));
    assert_eq!(
        Compound::parse(&padded(0, 0)).map(|_| ()),
        Err(RtcpError::Padding(72))
    );
    assert_eq!(
        Compound::parse(&padded(0, 8)).map(|_| ()),
        Err(RtcpError::Padding(72))
    );
    assert_eq!(
        Compound::parse(&padded(0x20, 4)).map(|_| ()),
        Err(RtcpError::Padding(0))
    );
}

#[test]
fn reduced_size_is_accepted_and_told() {
    let compound = pli();
    let compound = Compound::parse(&compound).expect("RFC 5506");
    assert!(!compound.begins_with_report());
    let packet = compound.packets().next().expect("one");
    let feedback = Feedback::of(&packet).expect("feedback");
    assert_eq!(
        (feedback.format, feedback.sender, feedback.media),
        (1, Ssrc(7), Ssrc(9))
    );
}

#[test]
fn small_packets_are_read() {
    let bye = packet(2, 203, b"\0\0\0\x07\0\0\0\x08\x03end");
    let app = packet(5, 204, b"\0\0\0\x07nameDATA");
    let xr = packet(0, 207, &words(&[7, 0x0400_0002, 1, 2, 0x0500_0000]));
    let datagram = [bye, app, xr].concat();
    let compound = Compound::parse(&datagram).expect("well-formed");
    let packets: Vec<_> = compound.packets().collect();
    let bye = Bye::of(&packets[0]).expect("a goodbye");
    assert!(bye.sources().eq([Ssrc(7), Ssrc(8)]));
    assert_eq!(bye.reason(), b"end");
    let app = App::of(&packets[1]).expect("an application's");
    assert_eq!(
        (app.subtype, app.name, app.data),
        (5, *b"name", &b"DATA"[..])
    );
    let xr = ExtendedReport::of(&packets[2]).expect("an extended report");
    let blocks: Vec<_> = xr.blocks().map(|b| (b.kind, b.data.len())).collect();
    assert_eq!(blocks, [(4, 8), (5, 0)]);
}

#[test]
fn packets_shorter_than_their_counts_are_not_read() {
    for (count, kind) in [(2, 200), (1, 201), (3, 203), (0, 204), (1, 205), (0, 200)] {
        let datagram = packet(count, kind, &words(&[7]));
        let compound = Compound::parse(&datagram).expect("the compound is well-formed");
        let p = compound.packets().next().expect("one");
        assert!(SenderReport::of(&p).is_none() && ReceiverReport::of(&p).is_none());
        assert!(Bye::of(&p).is_none() && App::of(&p).is_none() && Feedback::of(&p).is_none());
    }
}

#[test]
fn feedback_is_cut_out_wherever_it_stands() {
    let (report, feedback) = (
        ordinary(),
        [pli(), packet(15, 205, &words(&[7, 9, 1]))].concat(),
    );
    for parts in [
        [&report[..], &feedback, &[]],
        [&feedback, &report, &[]],
        [&report[..52], &feedback, &report[52..]],
    ] {
        let mut datagram = parts.concat();
        let len = strip_feedback(&mut datagram);
        assert_eq!(datagram[..len], report);
    }
}

#[test]
fn a_compound_without_feedback_is_left_alone_and_one_of_feedback_only_vanishes() {
    let mut datagram = ordinary();
    assert_eq!(strip_feedback(&mut datagram), datagram.len());
    assert_eq!(datagram, ordinary());
    assert_eq!(strip_feedback(&mut pli()), 0);
    assert_eq!(strip_feedback(&mut [pli(), pli()].concat()), 0);
}

#[test]
fn a_bare_header_beside_feedback_is_no_datagram_by_itself() {
    let mut datagram = [pli(), vec![0x80, 203, 0, 0]].concat();
    Compound::parse(&datagram).expect("well-formed together");
    assert_eq!(strip_feedback(&mut datagram), 0);
}

#[test]
fn stripping_takes_padding_with_the_packet_that_had_it() {
    let mut feedback = packet(1, 206, &[words(&[7, 9]), vec![0, 0, 0, 4]].concat());
    feedback[0] |= 0x20;
    let mut datagram = [ordinary(), feedback].concat();
    Compound::parse(&datagram).expect("well-formed");
    let len = strip_feedback(&mut datagram);
    assert_eq!(
        kinds(&datagram[..len]),
        [PacketType::SenderReport, PacketType::Sdes]
    );
}

/// Bytes that often are RTCP: packets of all types with counts that may or may not fit.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![0u8..6, any::<u8>()], 0..12);
    let one =
        (0u8..4, prop_oneof![200u8..208, 192u8..224], body).prop_map(|(count, kind, body)| {
            let body: Vec<u8> = body.into_iter().flat_map(|b| [0, b, b, b]).collect();
            packet(count, kind, &body)
        });
    (prop::collection::vec(one, 1..5), 0u8..8).prop_map(|(packets, padding)| {
        let mut datagram = packets.concat();
        let last = datagram.len() - packets.last().map_or(0, Vec::len);
        if padding == 0 && datagram.len() - last > 4 {
            datagram[last] |= 0x20;
        }
        datagram
    })
}

/// Whether the oracle reads the same out of a packet that both take.
fn same(ours: &Packet<'_>, theirs: &Theirs<'_>) -> bool {
    match theirs {
        Theirs::Sr(t) => SenderReport::of(ours).is_some_and(|o| {
            (o.ssrc.0, o.ntp.0, o.rtp_timestamp) == (t.ssrc(), t.ntp_timestamp(), t.rtp_timestamp())
                && (o.packets, o.octets) == (t.packet_count(), t.octet_count())
                && o.blocks()
                    .map(fields)
                    .eq(t.report_blocks().map(|b| their_fields(&b)))
        }),
        Theirs::Rr(t) => ReceiverReport::of(ours).is_some_and(|o| {
            o.ssrc.0 == t.ssrc()
                && o.blocks()
                    .map(fields)
                    .eq(t.report_blocks().map(|b| their_fields(&b)))
        }),
        Theirs::Bye(t) => Bye::of(ours).is_some_and(|o| {
            o.sources().map(|s| s.0).eq(t.ssrcs()) && o.reason() == t.reason().unwrap_or_default()
        }),
        Theirs::App(t) => App::of(ours)
            .is_some_and(|o| (o.ssrc.0, o.name, o.data) == (t.ssrc(), t.name(), t.data())),
        Theirs::Sdes(t) => Sdes::of(ours).is_some_and(|o| {
            let ours_read = o.chunks().map(|c| {
                (
                    c.ssrc.0,
                    c.items()
                        .map(|i| (i.kind, i.text.to_vec()))
                        .collect::<Vec<_>>(),
                )
            });
            let theirs_read = t.chunks().map(|c| {
                (
                    c.ssrc(),
                    c.items()
                        .map(|i| (i.type_(), i.value().to_vec()))
                        .collect::<Vec<_>>(),
                )
            });
            // It reads on to the end, whatever the count says.
            ours_read.eq(theirs_read.take(usize::from(ours.count())))
        }),
        Theirs::TransportFeedback(t) => Feedback::of(ours)
            .is_some_and(|o| (o.sender.0, o.media.0) == (t.sender_ssrc(), t.media_ssrc())),
        Theirs::PayloadFeedback(t) => Feedback::of(ours)
            .is_some_and(|o| (o.sender.0, o.media.0) == (t.sender_ssrc(), t.media_ssrc())),
        Theirs::Xr(t) => ExtendedReport::of(ours).is_some_and(|o| o.ssrc.0 == t.sender_ssrc()),
        Theirs::Unknown(_) => matches!(ours.kind(), PacketType::Other(_)),
    }
}

fn fields(b: ReportBlock) -> [u32; 7] {
    let lost = b.cumulative_lost as u32 & 0x00ff_ffff;
    let head = [b.ssrc, u32::from(b.fraction_lost), lost, b.highest_sequence];
    [
        head[0],
        head[1],
        head[2],
        head[3],
        b.jitter,
        b.last_sr,
        b.delay_since_last_sr,
    ]
}

fn their_fields(b: &rtcp_types::ReportBlock<'_>) -> [u32; 7] {
    [
        b.ssrc(),
        u32::from(b.fraction_lost()),
        b.cumulative_lost(),
        b.extended_sequence_number(),
        b.interarrival_jitter(),
        b.last_sender_report_timestamp(),
        b.delay_since_last_sender_report_timestamp(),
    ]
}

/// What of a datagram is about sources below ten.
fn selected(datagram: &[u8]) -> Vec<u8> {
    let compound = Compound::parse(datagram).expect("well-formed");
    let mut out = vec![0; datagram.len() + 8];
    let about = |source| match source {
        Source::Sender(ssrc) | Source::Media(ssrc) => ssrc.0 < 10,
    };
    let len = select(&compound, about, &mut out);
    out.truncate(len);
    out
}

fn block_of(ssrc: u32) -> Vec<u8> {
    words(&[ssrc, 1, 2, 3, 4, 5])
}

fn sdes_of(ssrc: u32, items: &[u8]) -> Vec<u8> {
    let mut chunk = [&ssrc.to_be_bytes()[..], items].concat();
    chunk.resize(chunk.len() / 4 * 4 + 4, 0);
    chunk
}

#[test]
fn a_sender_report_is_split_into_what_each_section_hears_of_it() {
    let info = |ssrc: u32| words(&[ssrc, 11, 12, 13, 14, 15]);
    let report = |ssrc| {
        let body = [info(ssrc), block_of(1), block_of(20), block_of(2)].concat();
        packet(3, 200, &body)
    };
    let ours = packet(2, 200, &[info(7), block_of(1), block_of(2)].concat());
    assert_eq!(selected(&report(7)), ours);
    let theirs = packet(2, 201, &[words(&[70]), block_of(1), block_of(2)].concat());
    assert_eq!(
        selected(&report(70)),
        theirs,
        "of another's report the blocks are left"
    );
    let stranger = packet(1, 200, &[info(70), block_of(20)].concat());
    assert!(selected(&stranger).is_empty());
}

#[test]
fn descriptions_follow_the_reports_and_leave_section_names_behind() {
    let report = packet(1, 201, &[words(&[70]), block_of(1)].concat());
    let names = [sdes_of(70, b"\x01\x03abc"), sdes_of(80, b"\x01\x01x")].concat();
    let ours = sdes_of(7, b"\x0f\x01a\x01\x02hi");
    let datagram = [report.clone(), packet(3, 202, &[names, ours].concat())].concat();
    let kept = [sdes_of(70, b"\x01\x03abc"), sdes_of(7, b"\x01\x02hi")].concat();
    assert_eq!(
        selected(&datagram),
        [report, packet(2, 202, &kept)].concat()
    );
}

#[test]
fn what_needs_a_report_in_front_gets_an_empty_one() {
    let report = packet(0, 201, &words(&[70]));
    let datagram = [report.clone(), packet(2, 203, &words(&[7, 70]))].concat();
    let first = packet(0, 201, &words(&[7]));
    assert_eq!(
        selected(&datagram),
        [first, packet(1, 203, &words(&[7]))].concat()
    );
    let reduced = packet(2, 203, &words(&[7, 70]));
    assert_eq!(selected(&reduced), packet(1, 203, &words(&[7])), "RFC 5506");
}

#[test]
fn feedback_goes_where_its_target_is() {
    for (datagram, kept) in [
        (packet(1, 206, &words(&[70, 7])), true),
        (packet(1, 206, &words(&[7, 70])), false),
        (packet(15, 205, &words(&[7, 0, 1])), true),
        (packet(15, 205, &words(&[70, 0, 1])), false),
        (
            packet(
                15,
                206,
                &[words(&[70, 0]), b"REMB\x02\0\0\0".to_vec(), words(&[70, 7])].concat(),
            ),
            true,
        ),
        (
            packet(
                15,
                206,
                &[words(&[7, 0]), b"REMB\x01\0\0\0".to_vec(), words(&[70, 7])].concat(),
            ),
            false,
        ),
    ] {
        let expected = if kept { datagram.clone() } else { Vec::new() };
        assert_eq!(selected(&datagram), expected, "{datagram:?}");
    }
    let requests = packet(4, 206, &words(&[70, 0, 7, 1 << 24, 70, 2 << 24]));
    assert_eq!(
        selected(&requests),
        packet(4, 206, &words(&[70, 0, 7, 1 << 24]))
    );
}

#[test]
fn extended_reports_keep_the_blocks_about_the_selection() {
    let metrics = |ssrc: u32| words(&[0x0700_0001, ssrc]);
    let reference = words(&[0x0400_0002, 1, 2]);
    let answers = words(&[0x0500_0003, 7, 1, 2]);
    let all = [
        words(&[70]),
        metrics(7),
        metrics(70),
        reference.clone(),
        answers.clone(),
    ]
    .concat();
    let kept = [words(&[70]), metrics(7), answers].concat();
    assert_eq!(selected(&packet(0, 207, &all)), packet(0, 207, &kept));
    let own = [words(&[7]), metrics(70), reference.clone()].concat();
    let kept = [words(&[7]), reference].concat();
    assert_eq!(selected(&packet(0, 207, &own)), packet(0, 207, &kept));
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(datagram in datagram()) {
        let Ok(ours) = Compound::parse(&datagram) else { return Ok(()) };
        let theirs = rtcp_types::Compound::parse(&datagram);
        prop_assert!(theirs.is_ok(), "{:?}", theirs);
        for (ours, theirs) in ours.packets().zip(theirs.expect("just looked")) {
            // What it refuses of a single packet ends its iteration; ours reads on. It reads padding
            // as data, ours does not.
            let Ok(theirs) = theirs else { break };
            if ours.bytes()[0] & 0x20 != 0 {
                break;
            }
            prop_assert!(same(&ours, &theirs), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn stripping_any_compound_leaves_its_other_packets(datagram in datagram()) {
        let Ok(compound) = Compound::parse(&datagram) else { return Ok(()) };
        let mut expected: Vec<u8> = compound
            .packets()
            .filter(|p| !p.kind().is_feedback())
            .flat_map(|p| p.bytes().to_vec())
            .collect();
        if Compound::parse(&expected).is_err() {
            expected.clear();
        }
        let mut stripped = datagram.clone();
        let len = strip_feedback(&mut stripped);
        prop_assert_eq!(&stripped[..len], &expected[..]);
    }

    #[test]
    fn a_selection_of_any_compound_is_a_compound_with_what_was_there(
        datagram in datagram(),
        modulus in 1_u32..5,
        short in 0_usize..12,
    ) {
        let Ok(compound) = Compound::parse(&datagram) else { return Ok(()) };
        let multiple = |of: u32| move |source| match source {
            Source::Sender(ssrc) | Source::Media(ssrc) => ssrc.0.is_multiple_of(of),
        };
        let mut out = vec![0; datagram.len() + 8];
        let len = select(&compound, |_| false, &mut out);
        prop_assert_eq!(len, 0);
        for of in [1, modulus] {
            let len = select(&compound, multiple(of), &mut out);
            let taken = Compound::parse(&out[..len]);
            prop_assert!(len == 0 || taken.is_ok(), "{:?}", taken);
        }
        // What does not fit is left out, and what is left is whole.
        let room = datagram.len().saturating_sub(short);
        let len = select(&compound, multiple(1), &mut out[..room]);
        prop_assert!(len == 0 || Compound::parse(&out[..len]).is_ok());
    }

    #[test]
    fn any_bytes_are_survived(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut copy = datagram.clone();
        let len = strip_feedback(&mut copy);
        prop_assert!(len <= copy.len());
        let Ok(compound) = Compound::parse(&datagram) else { return Ok(()) };
        for p in compound.packets() {
            let _read = (SenderReport::of(&p), ReceiverReport::of(&p), Bye::of(&p), App::of(&p));
            let _sdes = Sdes::of(&p).map(|s| s.chunks().map(|c| c.items().count()).sum::<usize>());
            let _xr = ExtendedReport::of(&p).map(|x| x.blocks().count());
        }
    }
}
