//! Browsers that speak ICE, phones that do not, and the relay between them, in virtual time.

use std::time::Duration;

use patchcord_contract::{Addr, Endpoint};
use patchcord_control::Settings;
use patchcord_control::ice::{
    Agent, Candidate, CandidateType, Component, Event, ListId, LocalId, Mode, Output, Place, Role,
};
use patchcord_tests::world::{Weather, World};
use patchcord_wire::sdp::{self, IcePwd, IceUfrag, Sdp};
use patchcord_wire::value::{Dict, Value};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{PTIME, RELAY, endpoint};

const SECOND: Duration = Duration::from_secs(1);

/// A party of a call, with an agent if it speaks ICE.
struct Party {
    at: Endpoint,
    ice: Option<Ice>,
    /// The relay's port for it, by its m= line.
    relay: Endpoint,
    heard: Vec<(patchcord_contract::Time, Vec<u8>)>,
    sequence: u16,
    ssrc: u8,
}

struct Ice {
    agent: Agent,
    list: ListId,
    local: LocalId,
    random: ChaCha20Rng,
    events: Vec<Event>,
}

struct Call {
    world: World,
    parties: Vec<Party>,
}

const CALLER: usize = 0;
const CALLEE: usize = 1;

impl Party {
    fn phone(at: Endpoint, ssrc: u8) -> Self {
        Self {
            at,
            ice: None,
            relay: Endpoint::NONE,
            heard: Vec::new(),
            sequence: 0,
            ssrc,
        }
    }

    fn browser(at: Endpoint, ssrc: u8, role: Role, seed: u64) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(seed << 8 | u64::from(ssrc));
        let mut agent = Agent::new(Mode::Full, role, &mut random);
        let list = agent.add_list(&mut random);
        let place = Place {
            base: at,
            advertised: at,
            kind: CandidateType::Host,
            preference: 65_535,
        };
        let local = agent.add_local(list, Component::Rtp, place);
        Self {
            ice: Some(Ice {
                agent,
                list,
                local,
                random,
                events: Vec::new(),
            }),
            ..Self::phone(at, ssrc)
        }
    }

    fn body(&self) -> String {
        let at = self.at;
        let mut body = format!(
            "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\n\
             m=audio {1} RTP/AVP 0\r\na=rtcp-mux\r\n",
            at.addr, at.port
        );
        if let Some(ice) = &self.ice {
            let ours = ice.agent.credentials(ice.list);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let lines = [
                format!("a=ice-ufrag:{}", text(ours.ufrag())),
                format!("a=ice-pwd:{}", text(ours.pwd())),
                format!(
                    "a=candidate:1 1 udp 2130706431 {} {} typ host",
                    at.addr, at.port
                ),
            ];
            body.extend(lines.map(|line| line + "\r\n"));
        }
        body
    }
}

impl Call {
    fn new(seed: u64, parties: impl Into<Vec<Party>>) -> Self {
        let settings = Settings::with_address(Addr::from(std::net::IpAddr::V4(RELAY)));
        Self {
            world: World::new(settings, seed),
            parties: parties.into(),
        }
    }

    /// Offer and answer; the answerer rings for a while.
    fn signal(&mut self, flags: &[(&'static str, &'static str)]) {
        self.offer(flags);
        self.run(Duration::from_millis(200));
        self.answer();
    }

    fn offer(&mut self, flags: &[(&'static str, &'static str)]) {
        let body = self.parties[CALLER].body();
        let reply = self.request("offer", body, flags);
        self.tell(CALLEE, &reply);
    }

    fn answer(&mut self) {
        self.answer_by(CALLEE, &[("to-tag", "b")]);
    }

    fn answer_by(&mut self, who: usize, flags: &[(&'static str, &'static str)]) {
        let body = self.parties[who].body();
        let reply = self.request("answer", body, flags);
        self.tell(CALLER, &reply);
    }

    fn request(
        &mut self,
        command: &'static str,
        body: String,
        flags: &[(&'static str, &'static str)],
    ) -> Vec<u8> {
        let mut dict = Dict::new()
            .with("command", command)
            .with("call-id", "c")
            .with("from-tag", "a")
            .with("sdp", body);
        for (key, value) in flags {
            dict = dict.with(key, *value);
        }
        let reply = self.world.request(&Value::Dict(dict));
        let sdp = reply.get("sdp").and_then(Value::as_bytes);
        sdp.unwrap_or_else(|| panic!("{command}: {reply:?}"))
            .to_vec()
    }

    /// What a party reads in a body.
    fn tell(&mut self, who: usize, body: &[u8]) {
        let now = self.world.now();
        let party = &mut self.parties[who];
        let sdp = Sdp::parse(body).expect("the relay writes SDP");
        let section = sdp.sections().next().expect("a section");
        let port = section.media().expect("an m= line").port;
        party.relay = Endpoint::new(std::net::IpAddr::V4(RELAY), port);
        let Some(ice) = &mut party.ice else {
            assert!(
                section.get::<IceUfrag<'_>>().is_none(),
                "a phone sees no ICE"
            );
            return;
        };
        let Some(Ok(IceUfrag(ufrag))) = section.get() else {
            return;
        };
        let Some(Ok(IcePwd(pwd))) = section.get() else {
            panic!("a ufrag without a password");
        };
        let mut out = Output::default();
        if ice.agent.is_restart(ice.list, ufrag, pwd) {
            ice.agent.restart(ice.list, &mut ice.random);
        }
        let random = &mut ice.random;
        ice.agent
            .describe(now, ice.list, ufrag, pwd, random, &mut out);
        for line in section.all::<sdp::Candidate<'_>>() {
            let candidate = Candidate::read(&line.expect("a candidate")).expect("a usable one");
            ice.agent
                .add_remote(now, ice.list, candidate, random, &mut out);
        }
        ice.agent.end_of_candidates(ice.list);
        self.emit(who, out);
    }

    fn emit(&mut self, who: usize, out: Output) {
        let party = &mut self.parties[who];
        let at = party.at;
        if let Some(ice) = &mut party.ice {
            ice.events.extend(out.events);
        }
        for transmit in out.transmits {
            self.world.send(at, transmit.to, &transmit.bytes);
        }
    }

    /// Lets time pass without media.
    fn run(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            self.world.run(Duration::from_millis(1));
            for who in 0..self.parties.len() {
                self.serve(who);
            }
        }
    }

    fn serve(&mut self, who: usize) {
        let now = self.world.now();
        let arrivals = self.world.inbox(self.parties[who].at);
        let mut out = Output::default();
        let party = &mut self.parties[who];
        for arrival in arrivals {
            if arrival.bytes[0] >= 0x80 {
                party.heard.push((arrival.at, arrival.bytes));
            } else {
                let Some(ice) = party.ice.as_mut() else {
                    continue;
                };
                let (local, random) = (ice.local, &mut ice.random);
                let bytes = &arrival.bytes;
                ice.agent
                    .receive(now, local, arrival.from, bytes, random, &mut out);
            }
        }
        if let Some(ice) = &mut party.ice
            && ice.agent.next().is_some_and(|next| next <= now)
        {
            ice.agent.tick(now, &mut ice.random, &mut out);
        }
        self.emit(who, out);
    }

    /// Both speak, by the pair that they have, if they speak ICE.
    fn talk(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            for who in 0..self.parties.len() {
                self.speak(who);
            }
            self.run(PTIME);
        }
    }

    fn speak(&mut self, who: usize) {
        let party = &mut self.parties[who];
        let to = match &party.ice {
            Some(ice) => match ice.agent.selected(ice.list, Component::Rtp) {
                Some(pair) => pair.remote,
                None => return,
            },
            None => party.relay,
        };
        party.sequence += 1;
        let [high, low] = party.sequence.to_be_bytes();
        let mut packet = vec![0x80, 0, high, low, 0, 0, high, low, 0, 0, 0, party.ssrc];
        packet.resize(172, 0x55);
        self.world.send(party.at, to, &packet);
    }

    fn heard(&mut self, who: usize) -> usize {
        std::mem::take(&mut self.parties[who].heard).len()
    }

    fn connects(&self, who: usize) -> usize {
        let ice = self.parties[who].ice.as_ref().expect("a browser");
        let connected = |event: &&Event| matches!(event, Event::Connected { .. });
        ice.events.iter().filter(connected).count()
    }
}

fn browser_to_phone(seed: u64) -> Call {
    let caller = Party::browser(
        endpoint([198, 51, 100, 1], 5_000),
        1,
        Role::Controlling,
        seed,
    );
    let callee = Party::phone(endpoint([198, 51, 100, 9], 6_000), 2);
    Call::new(seed, [caller, callee])
}

fn browsers(seed: u64) -> Call {
    let caller = Party::browser(
        endpoint([198, 51, 100, 1], 5_000),
        1,
        Role::Controlling,
        seed,
    );
    let callee = Party::browser(
        endpoint([198, 51, 100, 9], 6_000),
        2,
        Role::Controlled,
        seed,
    );
    Call::new(seed, [caller, callee])
}

#[test]
fn a_browser_and_a_phone_hear_each_other() {
    let mut call = browser_to_phone(1);
    call.signal(&[("ICE", "remove")]);
    call.talk(2 * SECOND);
    assert_eq!(call.connects(CALLER), 1);
    assert!(call.heard(CALLER) > 90 && call.heard(CALLEE) > 90);
    assert_eq!(call.world.control.totals().ice.connected, 1);
}

#[test]
fn a_phone_calls_a_browser() {
    let caller = Party::phone(endpoint([198, 51, 100, 9], 6_000), 2);
    let callee = Party::browser(endpoint([198, 51, 100, 1], 5_000), 1, Role::Controlled, 2);
    let mut call = Call::new(2, [caller, callee]);
    call.signal(&[("ICE", "force")]);
    call.talk(2 * SECOND);
    assert!(call.heard(CALLER) > 90 && call.heard(CALLEE) > 90);
    assert_eq!(call.connects(CALLEE), 1);
}

#[test]
fn nothing_reaches_a_browser_before_it_was_checked() {
    let mut call = browser_to_phone(3);
    call.offer(&[("ICE", "remove")]);
    call.answer();
    // The browser does not answer checks yet: it has not got the answer.
    let ice = call.parties[CALLER].ice.take();
    for _ in 0..100 {
        call.speak(CALLEE);
        call.world.run(PTIME);
    }
    let arrivals = call.world.inbox(call.parties[CALLER].at);
    assert!(
        arrivals.iter().all(|arrival| arrival.bytes[0] < 4),
        "checks only"
    );
    assert!(!arrivals.is_empty());
    call.parties[CALLER].ice = ice;
    call.talk(3 * SECOND);
    assert!(call.heard(CALLER) > 90);
}

#[test]
fn a_stranger_is_not_heard_on_a_leg_with_ice() {
    let mut call = browser_to_phone(4);
    call.signal(&[("ICE", "remove")]);
    call.talk(SECOND);
    call.heard(CALLEE);
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9];
    packet.resize(172, 0);
    let stranger = endpoint([203, 0, 113, 66], 5_000);
    for n in 0..50 {
        packet[3] = n;
        call.world
            .send(stranger, call.parties[CALLER].relay, &packet);
        call.run(PTIME);
    }
    assert_eq!(call.heard(CALLEE), 0);
    call.talk(SECOND);
    assert!(call.heard(CALLER) > 45, "and nobody was misled");
    assert!(call.world.inbox(stranger).is_empty());
}

#[test]
fn two_browsers_meet_in_a_storm_and_restart_without_a_gap() {
    for seed in 0..10 {
        let mut call = browsers(seed);
        call.world.weather = Weather {
            loss: 200,
            repeats: 50,
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(60),
        };
        call.signal(&[]);
        call.talk(20 * SECOND);
        assert_eq!(
            (call.connects(CALLER), call.connects(CALLEE)),
            (1, 1),
            "{seed}"
        );
        call.world.weather = Weather::default();
        call.talk(SECOND);
        for who in [CALLER, CALLEE] {
            call.heard(who);
        }
        // The caller restarts, as after a change of networks.
        if let Some(ice) = &mut call.parties[CALLER].ice {
            ice.agent.restart(ice.list, &mut ice.random);
        }
        call.offer(&[]);
        call.talk(SECOND);
        call.answer();
        call.talk(2 * SECOND);
        assert_eq!(call.connects(CALLER), 2, "{seed}");
        assert_eq!(call.connects(CALLEE), 1, "the callee was not troubled");
        for who in [CALLER, CALLEE] {
            let heard = std::mem::take(&mut call.parties[who].heard);
            let gaps = heard.windows(2).map(|w| w[1].0.since(w[0].0));
            assert!(gaps.max() <= Some(2 * PTIME), "{seed}: a gap");
            assert!(heard.len() >= 149, "{seed}: {}", heard.len());
        }
    }
}

#[test]
fn a_browser_that_vanishes_is_sent_nothing_after_thirty_seconds() {
    let mut call = browser_to_phone(5);
    call.signal(&[("ICE", "remove")]);
    call.talk(2 * SECOND);
    call.parties[CALLER].ice = None;
    let browser = call.parties[CALLER].at;
    let mut last = call.world.now();
    let gone = last;
    while call.world.now().since(gone) < 40 * SECOND {
        call.speak(CALLEE);
        call.world.run(PTIME);
        let media = call.world.inbox(browser);
        if media.iter().any(|arrival| arrival.bytes[0] >= 0x80) {
            last = call.world.now();
        }
    }
    let after = last.since(gone);
    assert!(after <= 31 * SECOND && after >= 20 * SECOND, "{after:?}");
    assert_eq!(call.world.control.totals().ice.lost, 1);
}

#[test]
fn of_two_browsers_that_answer_one_offer_the_last_is_talked_to() {
    for flags in [
        &[("to-tag", "c")][..],
        &[("to-tag", "c"), ("flags", "new-branch")],
    ] {
        let mut call = browsers(6);
        let other = endpoint([198, 51, 100, 10], 7_000);
        call.parties
            .push(Party::browser(other, 3, Role::Controlled, 6));
        let body = call.parties[CALLER].body();
        let reply = call.request("offer", body, &[]);
        for who in [CALLEE, 2] {
            call.tell(who, &reply);
        }
        call.run(Duration::from_millis(200));
        call.answer();
        call.talk(2 * SECOND);
        assert!(call.heard(CALLEE) > 80 && call.heard(CALLER) > 80);
        call.answer_by(2, flags);
        call.parties[CALLEE].ice = None;
        call.talk(3 * SECOND);
        call.heard(CALLER);
        call.heard(2);
        call.talk(SECOND);
        assert!(call.heard(2) > 45, "{flags:?}");
        let heard = std::mem::take(&mut call.parties[CALLER].heard);
        let of_the_last = heard.iter().filter(|(_, packet)| packet[11] == 3).count();
        assert!(of_the_last > 45, "{flags:?}: {of_the_last}");
    }
}
