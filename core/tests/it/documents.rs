//! `docs/errors.md` and `docs/referents.md` are renderings of tables in code; these tests compare them,
//! and write them anew when `NCP_RECORD=1` is set.

use std::fmt::Write as _;
use std::path::Path;

use ncp_core::code::{Code, Disposition};
use ncp_core::verdict::{Absence, REFERENTS};

#[test]
fn the_page_of_error_codes_is_the_table() {
    check("errors.md", &errors());
}

#[test]
fn the_page_of_referents_is_the_table() {
    check("referents.md", &referents());
}

// The core itself touches no files; its documents have to.
#[allow(clippy::disallowed_methods)]
fn check(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("NCP_RECORD").is_some_and(|v| v == "1") {
        std::fs::write(&path, rendered).expect("docs can be written");
    }
    let written = std::fs::read_to_string(&path).expect("the page exists; NCP_RECORD=1 writes it");
    assert!(
        written == rendered,
        "docs/{name} is behind its table: run the test with NCP_RECORD=1"
    );
}

fn errors() -> String {
    let mut page = String::from(
        "<!-- Generated from core/src/code.rs by `NCP_RECORD=1 cargo test -p ncp-core --test it`. -->\n\
         # Error codes\n\n\
         Every error record, condition and command that fails carries one of these codes. Numbers are\n\
         stable and never reused. The last column says what the controller does by itself:\n\n",
    );
    for disposition in [
        Disposition::NeedsOperator,
        Disposition::ObserveThenRetry,
        Disposition::RetryLater,
        Disposition::Bug,
    ] {
        writeln!(page, "- **{}**: {}", word(disposition), promise(disposition)).unwrap();
    }
    for (title, numbers) in [
        ("Controller and network", 1..1000),
        ("Node agent", 1000..2000),
        ("Service proxy", 2000..3000),
        ("Command line", 3000..5000),
        ("Kubernetes", 5000..6000),
        ("Cloud Foundry", 6000..7000),
    ] {
        write!(
            page,
            "\n## {title}\n\n| Code | Name | What it means | What to do | By itself |\n"
        )
        .unwrap();
        page.push_str("| --- | --- | --- | --- | --- |\n");
        for code in Code::ALL.iter().filter(|code| numbers.contains(&code.number())) {
            let (name, by_itself) = (code.name(), word(code.disposition()));
            let (means, next) = (code.meaning(), code.next_step());
            writeln!(page, "| {code} | {name} | {means} | {next} | {by_itself} |").unwrap();
        }
    }
    page
}

fn word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::NeedsOperator => "waits",
        Disposition::ObserveThenRetry => "looks again",
        Disposition::RetryLater => "retries",
        Disposition::Bug => "reports",
    }
}

fn promise(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::NeedsOperator => {
            "only a change by an operator or user helps; tried again when something it depends on changes, and slowly."
        }
        Disposition::ObserveThenRetry => "the network's state is in doubt; it is read, then put right.",
        Disposition::RetryLater => "tried again with back-off.",
        Disposition::Bug => "a defect of this product; tried again slowly, please report it.",
    }
}

fn referents() -> String {
    let mut page = String::from(
        "<!-- Generated from core/src/verdict/referents.rs by `NCP_RECORD=1 cargo test -p ncp-core --test it`. -->\n\
         # When something referred to is missing\n\n\
         Doubt never opens traffic. For each kind of network object: what it refers to, and what happens\n\
         while that is missing or can't be used.\n\n\
         - **denies**: traffic that it would have admitted is denied.\n\
         - **holds back**: the object is not written; one that stands stays as it was, except that withdrawn allows go.\n\
         - **passes through**: the object is written without it, since it bears on no verdict.\n\n\
         | Object | Refers to | Absence | What that means |\n| --- | --- | --- | --- |\n",
    );
    for row in REFERENTS {
        let absence = match row.absence {
            Absence::Denies => "denies",
            Absence::HoldsBack => "holds back",
            Absence::PassesThrough => "passes through",
        };
        writeln!(page, "| {:?} | {} | {absence} | {} |", row.of, row.to, row.effect).unwrap();
    }
    page
}
