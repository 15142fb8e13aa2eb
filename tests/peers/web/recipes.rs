//! What the README tells people to write is what the tests have run.

use std::path::Path;

/// The lines of `text` that speak to the relay.
fn recipes(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| line.starts_with("rtpengine_manage("))
        .collect()
}

#[test]
fn the_readme_shows_the_lines_of_the_script() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(here.join(file)).expect("it is in the tree");
    let (readme, script) = (read("../README.md"), read("peers/kamailio-web.cfg"));
    let section = readme
        .split("\n## ")
        .find(|part| part.starts_with("Browsers"));
    let mut shown = recipes(section.expect("there is one for browsers"));
    let mut run = recipes(&script);
    shown.sort_unstable();
    run.sort_unstable();
    assert_eq!(shown, run);
}
