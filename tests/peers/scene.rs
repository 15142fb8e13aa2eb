//! What every case stands on: hosts, the relay, the proxy, and who is registered where.

use std::time::Duration;

use patchcord_tests::{Family, Ng, Phone, Relay, Sdp, Site, skipped, until};
use serde_json::{Value, json};

use crate::baresip::Baresip;
use crate::linphone::{Encryption, Linphone};
use crate::proxy::{self, Proxy, Script};
use crate::sipp::Sipp;

/// How long the relay may take to forget a call that has ended.
const ENDING: Duration = Duration::from_secs(15);

/// A relay and a proxy in the core, with phones around them.
pub(crate) struct Scene {
    /// The relay under test.
    pub(crate) relay: Relay,
    /// Kamailio.
    pub(crate) proxy: Proxy,
    /// Where they all are. Last, for programs end before their namespaces.
    pub(crate) site: Site,
}

impl Scene {
    /// A scene with `hosts` hosts and this directory's script; `None` where it is not permitted.
    pub(crate) fn new(hosts: u8) -> Option<Self> {
        Self::with_script(hosts, Script::Plain)
    }

    /// A scene with another script.
    pub(crate) fn with_script(hosts: u8, script: Script) -> Option<Self> {
        if skipped() {
            return None;
        }
        let site = Site::new(hosts);
        let relay = Relay::start_as_asked(&site, &["--delete-delay=0"])?;
        let proxy = Proxy::start(&site, script);
        Some(Self { relay, proxy, site })
    }

    /// A phone of sockets at host number `host`, for a SIPp to signal for.
    pub(crate) fn phone(&self, host: usize, hertz: f64) -> Phone {
        Phone::new(&self.site.hosts[host], Family::V4, 4000, hertz)
    }

    /// A SIPp that waits as `bob` at that host, for `phone`.
    pub(crate) fn callee(&self, host: usize, scenario: &str, phone: &Phone) -> Sipp {
        let host = &self.site.hosts[host];
        proxy::register(host, "bob");
        Sipp::start(&self.site, host, scenario, "bob", phone)
    }

    /// A SIPp that calls `bob` from host 0, for `phone`.
    pub(crate) fn caller(&self, scenario: &str, phone: &Phone) -> Sipp {
        Sipp::start(&self.site, &self.site.hosts[0], scenario, "bob", phone)
    }

    /// A SIPp that calls `bob` from host 0 with this offer.
    pub(crate) fn caller_with(&self, scenario: &str, offer: &Sdp) -> Sipp {
        let options = ["-key", "sdp", offer.text()].map(str::to_owned);
        Sipp::start_with(&self.site, &self.site.hosts[0], scenario, "bob", &options)
    }

    /// A baresip of `user` at that host.
    pub(crate) fn baresip(&self, host: usize, user: &str, hertz: u32) -> Baresip {
        self.baresip_with(host, user, hertz, "")
    }

    /// The same with this encryption of media.
    pub(crate) fn secure_baresip(
        &self,
        host: usize,
        user: &str,
        hertz: u32,
        encryption: &str,
    ) -> Baresip {
        let attributes = match encryption {
            "" => String::new(),
            named => format!("mediaenc={named}"),
        };
        self.baresip_with(host, user, hertz, &attributes)
    }

    /// The same with these attributes of its account.
    pub(crate) fn baresip_with(
        &self,
        host: usize,
        user: &str,
        hertz: u32,
        attributes: &str,
    ) -> Baresip {
        Baresip::start(&self.site, &self.site.hosts[host], user, hertz, attributes)
    }

    /// A linphonec of `user` at that host, which does nothing but SRTP.
    pub(crate) fn linphone(&self, host: usize, user: &str, hertz: u32) -> Linphone {
        self.linphone_with(host, user, hertz, "")
    }

    /// The same with more configuration.
    pub(crate) fn linphone_with(
        &self,
        host: usize,
        user: &str,
        hertz: u32,
        more: &str,
    ) -> Linphone {
        let host = &self.site.hosts[host];
        Linphone::start(&self.site, host, user, hertz, Encryption::Srtp, more)
    }

    /// A linphonec that keys its media by DTLS.
    pub(crate) fn dtls_linphone(&self, host: usize, user: &str, hertz: u32) -> Linphone {
        self.dtls_linphone_with(host, user, hertz, "")
    }

    /// The same with more configuration.
    pub(crate) fn dtls_linphone_with(
        &self,
        host: usize,
        user: &str,
        hertz: u32,
        more: &str,
    ) -> Linphone {
        let host = &self.site.hosts[host];
        Linphone::start(&self.site, host, user, hertz, Encryption::Dtls, more)
    }

    /// What `patchctl call` tells of the relay's only call.
    pub(crate) fn told(&self) -> String {
        let list = self.ng().request(&json!({"command": "list"}));
        let id = list["calls"][0].as_str().expect("there is a call");
        let told = self.relay.patchctl(&self.site, &["call", id]);
        told.expect("patchctl is built, and the call is there")
    }

    /// Where the relay says how each section of its only call is protected: suites by tag.
    pub(crate) fn suites(&self) -> Vec<String> {
        let suite = |rtp: Value| rtp["crypto suite"].as_str().unwrap_or("none").to_owned();
        let mut suites: Vec<_> = self.rtp_ports().into_iter().map(suite).collect();
        suites.sort();
        suites
    }

    /// Packets that the relay's RTP ports of its only call have dropped, for whatever reason.
    pub(crate) fn dropped_rtp(&self) -> u64 {
        let ports = self.rtp_ports().into_iter();
        ports
            .map(|rtp| rtp["stats"]["errors"].as_u64().expect("it is counted"))
            .sum()
    }

    /// What the relay tells of the RTP ports of its only call.
    fn rtp_ports(&self) -> Vec<Value> {
        let list = self.ng().request(&json!({"command": "list"}));
        let id = &list["calls"][0];
        assert!(id.is_string(), "there is a call");
        let query = self
            .ng()
            .request(&json!({"command": "query", "call-id": id}));
        let tags = query["tags"].as_object().expect("it has legs").values();
        tags.map(|leg| leg["medias"][0]["streams"][0].clone())
            .collect()
    }

    /// Packets that the relay refused: for their tag, and for all else that SRTP or its keys demand.
    pub(crate) fn refused(&self) -> [u64; 2] {
        let metrics = self.relay.metrics(&self.site);
        let count = |reason| {
            let label = format!("reason=\"{reason}");
            metrics.count("patchcord_packets_total", &[&label])
        };
        let tags = count("srtp_auth\"");
        [tags, count("srtp_") + count("no_keys") - tags]
    }

    /// Where packets of RTP go, by tag's order, of each leg of the relay's only call that has ICE.
    pub(crate) fn ice_endpoints(&self) -> Vec<String> {
        let list = self.ng().request(&json!({"command": "list"}));
        let Some(id) = list["calls"][0].as_str() else {
            return Vec::new();
        };
        let query = self
            .ng()
            .request(&json!({"command": "query", "call-id": id}));
        let tags = query["tags"].as_object().expect("it has legs").values();
        let medias = tags.map(|leg| &leg["medias"][0]);
        let has_ice = |media: &&Value| {
            let flags = media["flags"].as_array();
            flags.is_some_and(|flags| flags.contains(&json!("ICE")))
        };
        let place = |media: &Value| {
            let endpoint = &media["streams"][0]["endpoint"];
            endpoint["address"].as_str().unwrap_or_default().to_owned()
        };
        medias.filter(has_ice).map(place).collect()
    }

    /// The calls that the relay knows.
    pub(crate) fn calls(&self) -> usize {
        let list = self.ng().request(&json!({"command": "list"}));
        list["calls"].as_array().map_or(0, Vec::len)
    }

    /// Waits until the relay has forgotten every call: the proxy has told it of the end.
    pub(crate) fn wait_until_over(&self) {
        until("the relay to forget the call", ENDING, || self.calls() == 0);
    }

    fn ng(&self) -> Ng {
        self.relay.ng(&self.site)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.relay.confess(&self.site);
        }
    }
}
