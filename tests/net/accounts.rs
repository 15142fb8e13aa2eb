//! What the relay says it has done is what it has done.

use patchcord_tests::{Backend, converse};
use serde_json::json;

use crate::field::Field;

on_each_backend! {
    query_and_delete_tell_what_was_relayed,
}

fn query_and_delete_tell_what_was_relayed(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    for reply in [call.query(&field.ng), call.delete(&field.ng)] {
        assert_eq!(reply.result(), "ok");
        let totals = &reply["totals"];
        // Twelve packets of 12 + 160 octets each way, and one compound of 28 + 16.
        assert_eq!(totals["RTP"]["packets"], 24, "{totals}");
        assert_eq!(totals["RTP"]["bytes"], 24 * 172, "{totals}");
        assert_eq!(totals["RTCP"]["packets"], 2, "{totals}");
        for (tag, phone) in [(&call.from, &a), (&call.to, &b)] {
            let section = &reply["tags"][tag]["medias"][0];
            assert_eq!(section["type"], "audio", "{section}");
            let rtp = &section["streams"][0];
            let endpoint = &rtp["endpoint"];
            assert_eq!(
                endpoint["address"],
                phone.address().ip().to_string(),
                "{endpoint}"
            );
            assert_eq!(endpoint["port"], phone.address().port(), "{endpoint}");
            assert_eq!(
                Some(&rtp["local port"]),
                phone.peer.map(|p| json!(p.port())).as_ref()
            );
            assert_eq!(rtp["stats"]["packets"], 12, "{rtp}");
        }
    }
}
