//! What every case stands on: hosts, the relay, a control connection, and a call set up over it.

use patchcord_tests::{Backend, Family, Ng, NgCall, Phone, Relay, RelayKind, Site, skipped};
use serde_json::{Value, json};

/// A relay in the core and a proxy's connection to it.
pub(crate) struct Field {
    /// The relay under test.
    pub(crate) relay: Relay,
    /// A control connection.
    pub(crate) ng: Ng,
    /// Where they are. Last, for programs end before their namespaces.
    pub(crate) site: Site,
}

impl Field {
    /// A relay on `backend` and `hosts` hosts; `None` where it cannot be.
    pub(crate) fn on(backend: Backend, hosts: u8, options: &[&str]) -> Option<Self> {
        if is_yardstick() {
            // rtpengine has no backends: once is enough.
            return (backend == Backend::Uring)
                .then(|| Self::new(hosts, options))
                .flatten();
        }
        Self::prepared(backend, hosts, options, |_| ())
    }

    /// As [`Self::ours_on`], after something was done to the site.
    pub(crate) fn prepared(
        backend: Backend,
        hosts: u8,
        options: &[&str],
        prepare: impl FnOnce(&Site),
    ) -> Option<Self> {
        if is_yardstick() || backend.is_hook() && backend.is_refused() {
            return None;
        }
        let field = Self::start(hosts, |site| {
            prepare(site);
            Some(Relay::start_on(site, backend, options))
        })?;
        if backend.is_hook() {
            field.site.lend_to_xdp()?;
        }
        Some(field)
    }

    /// As [`Self::on`], for what the yardstick does otherwise.
    pub(crate) fn ours_on(backend: Backend, hosts: u8, options: &[&str]) -> Option<Self> {
        if is_yardstick() {
            None
        } else {
            Self::on(backend, hosts, options)
        }
    }

    /// A relay on its own choice of backend, or the environment's; `None` where it cannot be.
    pub(crate) fn new(hosts: u8, options: &[&str]) -> Option<Self> {
        Self::start(hosts, |site| Relay::start_as_asked(site, options))
    }

    /// As [`Self::new`], for what the yardstick does otherwise.
    pub(crate) fn ours(hosts: u8, options: &[&str]) -> Option<Self> {
        if is_yardstick() {
            None
        } else {
            Self::new(hosts, options)
        }
    }

    /// A relay that goes by what `options` say and nothing else, whatever the environment asks for.
    pub(crate) fn of_its_own(hosts: u8, options: &[&str]) -> Option<Self> {
        if is_yardstick() {
            None
        } else {
            Self::start(hosts, |site| Some(Relay::start_with(site, options)))
        }
    }

    fn start(hosts: u8, relay: impl FnOnce(&Site) -> Option<Relay>) -> Option<Self> {
        if skipped() {
            return None;
        }
        let site = Site::new(hosts);
        let relay = relay(&site)?;
        let ng = relay.ng(&site);
        Some(Self { relay, ng, site })
    }

    /// A phone at host number `host`.
    pub(crate) fn phone(&self, host: usize, family: Family, port: u16, hertz: f64) -> Phone {
        Phone::new(&self.site.hosts[host], family, port, hertz)
    }

    /// The two phones of most cases.
    pub(crate) fn pair(&self) -> (Phone, Phone) {
        let a = self.phone(0, Family::V4, 4000, 440.0);
        let b = self.phone(1, Family::V4, 4000, 1000.0);
        (a, b)
    }

    /// Sets up a call between two phones; `more` is added to the offer.
    pub(crate) fn connect(&self, id: &str, a: &mut Phone, b: &mut Phone, more: Value) -> NgCall {
        let call = NgCall::new(id);
        b.call(&call.offer(&self.ng, &a.sdp(), more).sdp());
        a.call(&call.answer(&self.ng, &b.sdp(), json!({})).sdp());
        call
    }

    /// The calls that the relay knows.
    pub(crate) fn calls(&self) -> usize {
        let list = self.ng.request(&json!({"command": "list"}));
        list["calls"].as_array().map_or(0, Vec::len)
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.relay.confess(&self.site);
        }
    }
}

/// Whether rtpengine is under test.
pub(crate) fn is_yardstick() -> bool {
    RelayKind::under_test() == RelayKind::Rtpengine
}
