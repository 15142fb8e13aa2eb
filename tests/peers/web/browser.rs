//! A browser with the page of this directory open: a phone that a test dials with and listens through.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use patchcord_tests::{Netns, Program, Site, give_up, last_words, until};
use serde_json::{Value, json};

use super::chromium::Chromium;
use super::firefox::Firefox;
use super::pages::Pages;
use crate::proxy;

/// How long a step of a call may take between two browsers on two cores.
pub(crate) const STEP: Duration = Duration::from_secs(40);
/// Between two questions to a page, which works meanwhile.
const TURN: Duration = Duration::from_millis(100);
/// The part of all that is heard from which a tone counts as heard.
const SHARE: f64 = 0.5;

/// Which browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's Chromium.
    Chromium,
    /// Debian's Firefox ESR.
    Firefox,
}

impl Kind {
    /// The program that it is.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox-esr",
        }
    }
}

enum Driver {
    Chromium(Chromium),
    Firefox(Firefox),
}

/// A running browser, registered as a user of the proxy.
pub(crate) struct Browser {
    program: Program,
    driver: Driver,
    user: String,
    _pages: Pages,
}

impl Browser {
    /// Starts one in `netns`, opens the page and registers `user`, who says a tone of `hertz`. It answers what
    /// comes in. `settings` are more of what the page's `register` takes.
    pub(crate) fn start(
        site: &Site,
        netns: &Netns,
        kind: Kind,
        user: &str,
        hertz: u32,
        settings: Value,
    ) -> Self {
        // One that is started anew begins with nothing.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{user}-{next}-{}", kind.program());
        let directory = site.scratch.path().join(name);
        std::fs::create_dir_all(&directory).expect("the scratch is writable");
        let options: &[&str] = match settings["microphone"].as_bool() {
            Some(false) => &[],
            Some(true) | None => &["--use-fake-ui-for-media-stream"],
        };
        let pages = Pages::start(netns);
        let (program, driver) = match kind {
            Kind::Chromium => {
                let (program, driver) = Chromium::start(netns, &directory, options);
                (program, Driver::Chromium(driver))
            }
            Kind::Firefox => {
                let (program, driver) = Firefox::start(netns, &directory);
                (program, Driver::Firefox(driver))
            }
        };
        let mut browser = Self {
            program,
            driver,
            user: user.to_owned(),
            _pages: pages,
        };
        match &mut browser.driver {
            Driver::Chromium(chromium) => chromium.open(&Pages::url()),
            Driver::Firefox(firefox) => firefox.open(&Pages::url()),
        }
        until("the page to be there", STEP, || {
            browser.attempt("window.isReady") == Ok(json!(true))
        });
        let mut given = json!({"hertz": hertz, "answers": true, "microphone": true});
        if let Value::Object(more) = settings {
            given.as_object_mut().expect("made above").extend(more);
        }
        let proxy = proxy::address().ip();
        browser.run(&format!("register('{user}', '{proxy}', {given})"));
        browser
    }

    /// Calls another user of the proxy.
    pub(crate) fn dial(&mut self, user: &str) {
        self.run(&format!("dial('{user}')"));
    }

    /// Ends its call.
    pub(crate) fn hang_up(&mut self) {
        self.run("hangUp()");
    }

    /// Waits until its call is `name` in JsSIP's words, for the `times`th time.
    pub(crate) fn wait_event(&mut self, name: &str, times: u64) {
        let what = format!("{} to see {name}", self.user);
        let expression = format!("happened('{name}')");
        self.patiently(&what, |browser| {
            let happened = browser.run(&expression).as_u64();
            happened.is_some_and(|happened| happened >= times)
        });
    }

    /// Waits until what it hears is a tone of `hertz`.
    pub(crate) fn wait_to_hear(&mut self, hertz: u32) {
        let what = format!("{} to hear {hertz} Hz", self.user);
        self.patiently(&what, |browser| browser.hears(hertz));
    }

    /// Whether what it hears now is a tone of `hertz`.
    pub(crate) fn hears(&mut self, hertz: u32) -> bool {
        let share = self.run(&format!("share({hertz})"));
        share.as_f64().is_some_and(|share| share > SHARE)
    }

    /// Frames of video that it has decoded.
    pub(crate) fn frames(&mut self) -> u64 {
        self.stats()["video"]["frames"].as_u64().unwrap_or(0)
    }

    /// Waits until it has decoded so many frames more.
    pub(crate) fn wait_to_see(&mut self, more: u64) {
        let what = format!("{} to see {more} frames", self.user);
        let before = self.frames();
        self.patiently(&what, |browser| browser.frames() >= before + more);
    }

    /// What it counts itself.
    pub(crate) fn stats(&mut self) -> Value {
        self.run("stats()")
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.program.kill();
    }

    /// The value of an expression of the page, awaited.
    ///
    /// # Panics
    /// Where it throws.
    pub(crate) fn run(&mut self, expression: &str) -> Value {
        let done = self.attempt(expression);
        done.unwrap_or_else(|thrown| panic!("{}: {expression}: {thrown}", self.user))
    }

    fn attempt(&mut self, expression: &str) -> Result<Value, String> {
        let wrapped = format!("(async () => JSON.stringify((await ({expression})) ?? null))()");
        let value = match &mut self.driver {
            Driver::Chromium(chromium) => chromium.evaluate(&wrapped),
            Driver::Firefox(firefox) => firefox.evaluate(&wrapped),
        }?;
        let text = value.as_str().ok_or("no string")?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Waits for a condition of the page.
    fn patiently(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            if start.elapsed() >= STEP {
                give_up(what, STEP);
            }
            std::thread::sleep(TURN);
        }
    }
}

impl Drop for Browser {
    /// In a test that fails, what the page knows is told.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let [told, stats] = ["told()", "stats()"].map(|question| self.attempt(question));
        let told = told.unwrap_or_default();
        let text = ["audio", "events", "local", "remote"].map(|key| {
            let value = told[key].as_str().map(str::to_owned);
            let value = value.unwrap_or_else(|| told[key].to_string());
            format!("{key}: {value}\n")
        });
        let (user, text) = (&self.user, text.concat());
        let events = &told["events"];
        last_words::add(&format!("{user}: {stats:?} after {events}"));
        drop(writeln!(
            std::io::stderr(),
            "---- {user}: {stats:?}\n{text}----"
        ));
    }
}
