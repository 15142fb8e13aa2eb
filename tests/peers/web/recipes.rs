//! What the README tells people to write is what the tests have run.

use std::path::Path;

/// A file of the tests.
pub(super) fn read(file: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(here.join(file)).expect("it is in the tree")
}

/// The words of the lines of `text` that speak to the relay, in order of the alphabet, each once; comments are
/// recipes, too.
fn recipes<'t>(text: &'t str) -> Vec<&'t str> {
    let words = |line: &'t str| {
        let line = line.trim_start_matches(['#', ' ', '\t']);
        let (words, _) = line
            .strip_prefix("rtpengine_manage(\"")?
            .split_once("\");")?;
        Some(words)
    };
    let mut found: Vec<&str> = text.lines().filter_map(words).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The words of the lines in a route of a script, and in the comment above it.
pub(super) fn lines_of<'s>(script: &'s str, route: &str) -> Vec<&'s str> {
    let blocks = script.split("\n\n");
    let head = format!("route[{route}] {{");
    let mut blocks = blocks.filter(|block| block.contains(&head));
    recipes(blocks.next().expect("the script has that route"))
}

#[test]
fn the_readme_shows_the_lines_of_the_script() {
    let (readme, script) = (read("../README.md"), read("peers/kamailio-web.cfg"));
    let section = readme
        .split("\n## ")
        .find(|part| part.starts_with("Browsers"));
    let shown = recipes(section.expect("there is one for browsers"));
    assert!(shown.len() > 3, "{shown:?}");
    assert_eq!(shown, recipes(&script));
}

#[test]
fn both_proxies_say_the_same() {
    let [kamailio, opensips] =
        ["kamailio", "opensips"].map(|proxy| read(&format!("peers/{proxy}-web.cfg")));
    assert_eq!(recipes(&kamailio), recipes(&opensips));
}
