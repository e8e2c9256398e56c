//! The program as an operator runs it.

use crate::dir::Dir;
use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn ncp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ncp"))
        .args(arguments)
        .env_remove("NCP_CONFIG")
        .output()
        .unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn exit_statuses_tell_mistakes_apart() {
    let cases: &[(&[&str], i32)] = &[
        (&["--help"], 0),
        (&["--version"], 0),
        (&[], 64),
        (&["chekc"], 64),
        (&["check", "--config", "/nowhere/ncp.ini"], 78),
        (&["config", "sample"], 0),
    ];
    for (arguments, want) in cases {
        assert_eq!(ncp(arguments).status.code(), Some(*want), "{arguments:?}");
    }
}

#[test]
fn check_names_file_and_line_of_every_mistake() {
    let dir = Dir::new();
    let file = dir.path("ncp.ini");
    std::fs::write(
        &file,
        "[coe]\nadaptor = pcf\n[nsx_v3]\nsubnet_prefix = 31\nnsx_api_mangers = 10.0.0.1\n",
    )
    .unwrap();
    let output = ncp(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    for (line, words) in [(4, "from 1 to 30"), (5, "did you mean nsx_api_managers?")] {
        let head = format!("NCP00001 {}:{line} [nsx_v3]", file.display());
        assert!(
            said.lines().any(|l| l.starts_with(&head) && l.contains(words)),
            "{words} in {said}"
        );
    }
}

/// The page in `docs/` is written by the program; run `make doc` when this fails.
#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        text(&ncp(&["config", "doc"]).stdout) == written,
        "docs/configuration.md is out of date: run `make doc`"
    );
}
