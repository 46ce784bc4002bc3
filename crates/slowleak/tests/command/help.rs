//! The help texts, as they stand; `INSTA_UPDATE=always` rewrites the snapshots.

use crate::support::{command, ran};

#[test]
fn help_texts() {
    let main = ran(command().arg("--help")).exits(0).stdout;
    insta::assert_snapshot!("slowleak", main);
    for name in [
        "demo", "generate", "inspect", "scan", "rollup", "detect", "nightly", "replay", "explain", "evaluate",
    ] {
        assert!(main.contains(name), "{name} is not in the list of commands");
        insta::assert_snapshot!(name, ran(command().args([name, "--help"])).exits(0).stdout);
    }
}

#[test]
fn version() {
    let version = ran(command().arg("--version")).exits(0).stdout;
    assert_eq!(version.trim(), concat!("slowleak ", env!("CARGO_PKG_VERSION")));
}
