//! Under load: whatever becomes of the kernel's entries, what comes out is what went in, once, and in order where
//! nobody sends packets by two ways on purpose.

use std::fs;
use std::time::Duration;

use aya::maps::{Array, Map, MapData};
use patchcord_contract::Locals;
use patchcord_tests::{Backend, Load, Packet, Phone, converse, receiver_report, until};
use serde_json::{Value, json};

use crate::field::Field;
use crate::offload::lowered;

on_each_hook! {
    a_flow_changes_hands_in_order,
    flows_under_load_are_taken_without_a_loss,
    packets_that_go_up_by_chance_come_out_whole,
    a_cleared_table_loses_nothing,
    a_phone_that_moves_under_load_is_followed,
}

/// How long the kernel may take to be given all flows.
const LOWERING: Duration = Duration::from_secs(10);
/// Calls of the load, with a stream in both directions each.
const CALLS: u64 = 50;

fn field(backend: Backend, options: &[&str]) -> Option<Field> {
    Field::ours_on(backend, 3, &[&["--num-threads=1"], options].concat())
}

/// A load for so many seconds, on the first two hosts.
fn load(field: &Field, seconds: &str) -> Load {
    let calls = CALLS.to_string();
    // So few that what a busy machine keeps waiting for half a second finds room in the kernel's queues.
    let arguments = [
        "--calls",
        &calls,
        "--pps=2000",
        "--warm-up=0.2",
        "--seconds",
        seconds,
    ];
    field.relay.load(&field.site, &arguments)
}

/// All of it came out, right and once.
fn is_whole(step: &Value) {
    for fault in ["lost", "wrong", "duplicated"] {
        assert_eq!(step[fault], 0, "{fault}: {step:#}");
    }
}

/// So many packets, as fast as they can be sent.
fn rush(phone: &mut Phone, packets: usize) {
    let said: Vec<_> = (0..packets).map(|_| phone.utter()).collect();
    for packet in &said {
        phone.send(packet);
    }
}

fn a_flow_changes_hands_in_order(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let mut heard = Vec::new();
    for _ in 0..40 {
        rush(&mut a, 30);
        // The worker has to take the flow back, and gives it away again while packets wait for him.
        call.reoffer(&field.ng, &a.sdp(), json!({}));
        rush(&mut a, 10);
        call.answer(&field.ng, &b.sdp(), json!({}));
        rush(&mut a, 30);
        let arrived = b.hear(70).packets;
        heard.extend(arrived.into_iter().map(|Packet { sequence, .. }| sequence));
    }
    let first = heard.first().copied().unwrap_or_default();
    let due: Vec<u16> = (0..40 * 70).map(|nth| first.wrapping_add(nth)).collect();
    let wrong = heard.iter().zip(&due).position(|(heard, due)| heard != due);
    assert_eq!((wrong, heard.len()), (None, due.len()), "{heard:?}");
}

fn flows_under_load_are_taken_without_a_loss(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let load = load(&field, "2");
    until("the kernel to carry all", LOWERING, || {
        lowered(&field.relay.metrics(&field.site)) == 2 * CALLS
    });
    let step = load.end();
    is_whole(&step);
    assert_eq!(step["reordered"], 0, "{step:#}");
}

fn packets_that_go_up_by_chance_come_out_whole(backend: Backend) {
    let Some(field) = field(backend, &["--set=offload.decline=0.3"]) else {
        return;
    };
    is_whole(&load(&field, "2").end());
}

fn a_cleared_table_loses_nothing(backend: Backend) {
    let Some(mut field) = field(backend, &[]) else {
        return;
    };
    let load = load(&field, "3");
    let mut cleared = 0;
    for _ in 0..3 {
        until("the kernel to carry all", LOWERING, || {
            lowered(&field.relay.metrics(&field.site)) == 2 * CALLS
        });
        cleared += clear(field.relay.program().pid());
        std::thread::sleep(Duration::from_millis(400));
    }
    assert!(cleared >= 2 * CALLS, "{cleared}");
    let step = load.end();
    is_whole(&step);
    assert_eq!(step["reordered"], 0, "{step:#}");
}

/// Takes the slots of all entries away from the program of the relay of that process; tells how many there were.
fn clear(pid: i32) -> u64 {
    let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it runs");
    let texts = infos.filter_map(|info| fs::read_to_string(info.ok()?.path()).ok());
    let number = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|word| word.trim().parse::<u32>().ok())
    };
    // A value for each port of each address.
    let ports = texts.into_iter().find_map(|text| {
        let is_table = number(&text, "value_size:") == Some(8)
            && number(&text, "max_entries:").is_some_and(|most| most >= 1 << 16);
        is_table.then(|| number(&text, "map_id:")).flatten()
    });
    let data = MapData::from_id(ports.expect("it has a table")).expect("privileged");
    let mut ports: Array<_, [u32; 2]> = Array::try_from(Map::Array(data)).expect("of that kind");
    let mut cleared = 0;
    for place in 0..4 {
        for port in 30_000..40_000 {
            let number = Locals::number(place, port);
            let [slot, worker] = ports.get(&number, 0).expect("there are as many");
            if slot != 0 {
                ports.set(number, [0, worker], 0).expect("privileged");
                cleared += 1;
            }
        }
    }
    cleared
}

fn a_phone_that_moves_under_load_is_followed(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let load = load(&field, "3");
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({"flags": ["media-handover"]}));
    converse(&mut a, &mut b);
    for port in [4800, 4810, 4820] {
        let mut moved = field.phone(0, patchcord_tests::Family::V4, port, 2000.0);
        (moved.peer, moved.peer_rtcp) = (a.peer, a.peer_rtcp);
        until("the phone to be followed", LOWERING, || {
            let said = moved.utter();
            moved.send(&said);
            b.arrived_soon().is_some_and(|(_, heard)| heard == said)
        });
        let report = receiver_report(moved.ssrc());
        moved.send_rtcp(&report);
        assert_eq!(b.receive_rtcp().map(|(_, heard)| heard), Some(report));
        converse(&mut moved, &mut b);
        while !a.is_left_alone() {}
        converse(&mut moved, &mut b);
        assert!(a.is_left_alone(), "where it was, nobody hears any more");
        a = moved;
    }
    is_whole(&load.end());
}
