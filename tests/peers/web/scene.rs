//! The scene of the other peers, with browsers in it.

use patchcord_tests::{RelayKind, lacks, skip};
use serde_json::{Value, json};

use super::browser::{Browser, Kind};
use super::pages::Pages;
use crate::baresip::Baresip;
use crate::proxy::Script;
use crate::scene::Scene;

/// The words that the proxy's script has for the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Those of every tutorial.
    Classic,
    /// `WebRTC`.
    Short,
    /// The classic ones, and DTLS towards phones too.
    Secure,
    /// `WebRTC` towards phones as well.
    Everywhere,
    /// The classic ones, and the relay only answers checks.
    Lite,
}

impl Words {
    /// A scene with the script for browsers; `None` where something is missing, which is said.
    pub(crate) fn scene(self, hosts: u8, browsers: &[Kind]) -> Option<Scene> {
        let mut programs: Vec<&str> = browsers.iter().map(|kind| kind.program()).collect();
        if browsers.contains(&Kind::Firefox) {
            programs.push("pulseaudio");
        }
        if lacks(&programs) {
            return None;
        }
        if !Pages::are_complete() {
            skip("JsSIP is missing (tests/setup.sh installs it)");
            return None;
        }
        if matches!(self, Self::Short | Self::Everywhere)
            && RelayKind::under_test() == RelayKind::Rtpengine
        {
            skip("this rtpengine is older than its word WebRTC");
            return None;
        }
        let script = match self {
            Self::Classic => Script::Web(&[]),
            Self::Short => Script::Web(&["WITH_SHORT"]),
            Self::Secure => Script::Web(&["WITH_DTLS_PHONES"]),
            Self::Everywhere => Script::Web(&["WITH_SHORT", "WITH_WEB_PHONES"]),
            Self::Lite => Script::WebWith("ICE-lite=both"),
        };
        Scene::with_script(hosts, script)
    }
}

impl Scene {
    /// A baresip that does all that browsers do: ICE, DTLS, and RTCP on the port of RTP.
    pub(crate) fn web_baresip(&self, host: usize, user: &str, hertz: u32) -> Baresip {
        let (host, attributes) = (&self.site.hosts[host], "mediaenc=dtls_srtp;medianat=ice");
        Baresip::start_with(&self.site, host, user, hertz, attributes, "rtcp_mux yes\n")
    }

    /// A browser of `user` at that host.
    pub(crate) fn browser(&self, host: usize, kind: Kind, user: &str, hertz: u32) -> Browser {
        self.browser_with(host, kind, user, hertz, json!({}))
    }

    /// The same with more settings of its page.
    pub(crate) fn browser_with(
        &self,
        host: usize,
        kind: Kind,
        user: &str,
        hertz: u32,
        settings: Value,
    ) -> Browser {
        Browser::start(
            &self.site,
            &self.site.hosts[host].netns,
            kind,
            user,
            hertz,
            settings,
        )
    }
}
