//! From lines to typed options, collecting mistakes instead of stopping at the first.

use super::ini::{Entry, Ini};
use super::mistake::Mistake;
use super::sections::{OTHERS, SECTIONS, UNUSED};
use super::table::{Default, OptionSpec, SectionSpec};
use super::value::{Field, Wrong, words};

/// Greatest distance at which a known name is offered for an unknown one.
const NEAR: usize = 3;

/// A file while its options are taken out of it.
pub(super) struct Reader<'a> {
    ini: &'a Ini,
    /// What must be mended.
    pub(super) mistakes: Vec<Mistake>,
    /// What should be known.
    pub(super) notices: Vec<Mistake>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(ini: &'a Ini) -> Self {
        let mut reader = Self {
            ini,
            mistakes: Vec::new(),
            notices: Vec::new(),
        };
        for fault in &ini.faults {
            reader.mistakes.push(Mistake {
                line: Some(fault.line),
                section: String::new(),
                key: String::new(),
                wrong: fault.wrong.into(),
                instead: fault.instead.into(),
            });
        }
        reader.unknown_names();
        reader
    }

    /// The value of one option; its default where the file has none, or none that can be read.
    pub(super) fn take<F: Field>(&mut self, section: &str, spec: Option<&OptionSpec>) -> F {
        #[expect(
            clippy::expect_used,
            reason = "the macro that calls makes struct and table from one list"
        )]
        let spec = spec.expect("each field has its option");
        let entries = self.entries(section, spec);
        self.repeated(spec, &entries);
        let used = if spec.list {
            entries.len()
        } else {
            entries.len().min(1)
        };
        let texts: Vec<String> = entries[..used]
            .iter()
            .flat_map(|e| words(&e.value, spec.list))
            .collect();
        if texts.is_empty() {
            if spec.default == Default::Required {
                self.missing(section, spec);
            }
            return by_default(spec);
        }
        self.without_effect(section, spec, &texts);
        match F::parse(&texts) {
            Ok(value) => value,
            Err(wrongs) => {
                for wrong in wrongs {
                    self.wrong(section, spec.name, wrong);
                }
                by_default(spec)
            }
        }
    }

    /// Whoever sets an option expects something of it. Kubernetes' options are other components' too.
    fn without_effect(&mut self, section: &str, spec: &OptionSpec, texts: &[String]) {
        let default = match spec.default {
            Default::Text(text) => words(text, spec.list),
            Default::Unset | Default::Required => Vec::new(),
        };
        let same =
            default.len() == texts.len() && default.iter().zip(texts).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if !spec.acts && !same && section != "k8s" {
            let wrong = Wrong::new(
                "the option has no effect in this version",
                "don't rely on it; remove it unless another component reads this file",
            );
            self.notice(section, spec.name, wrong);
        }
    }

    /// Reports a mistake at the option's line, or at its section's header if the file lacks it.
    pub(super) fn wrong(&mut self, section: &str, key: &str, wrong: Wrong) {
        let mistake = self.place(section, key, wrong);
        self.mistakes.push(mistake);
    }

    /// As [`Reader::wrong`], for what is no mistake.
    pub(super) fn notice(&mut self, section: &str, key: &str, wrong: Wrong) {
        let notice = self.place(section, key, wrong);
        self.notices.push(notice);
    }

    fn place(&self, section: &str, key: &str, wrong: Wrong) -> Mistake {
        let entry = self
            .ini
            .entries
            .iter()
            .find(|e| e.section == section && e.key == key);
        let header = || {
            self.ini
                .headers
                .iter()
                .find(|h| h.name == section)
                .map(|h| h.line)
        };
        Mistake {
            line: entry.map(|e| e.line).or_else(header),
            section: section.to_owned(),
            key: key.to_owned(),
            wrong: wrong.what,
            instead: wrong.instead,
        }
    }

    fn entries(&self, section: &str, spec: &OptionSpec) -> Vec<&'a Entry> {
        let named =
            |e: &&Entry| e.section == section && (e.key == spec.name || Some(e.key.as_str()) == spec.alias);
        self.ini.entries.iter().filter(named).collect()
    }

    /// A list goes on where it is named again; anything else would have to be guessed.
    fn repeated(&mut self, spec: &OptionSpec, entries: &[&Entry]) {
        let [first, rest @ ..] = entries else { return };
        if spec.list {
            return;
        }
        for entry in rest.iter().filter(|e| e.value != first.value) {
            let mut mistake = self.place(
                &entry.section,
                &entry.key,
                Wrong::new(
                    format!("line {} gives it another value", first.line),
                    "keep one of the two",
                ),
            );
            mistake.line = Some(entry.line);
            self.mistakes.push(mistake);
        }
    }

    fn missing(&mut self, section: &str, spec: &OptionSpec) {
        let instead = format!("set it; it takes a {}", (spec.kind)());
        self.wrong(section, spec.name, Wrong::new("the option is required", instead));
    }

    fn unknown_names(&mut self) {
        for header in &self.ini.headers {
            if !known_section(&header.name) {
                let wrong = unknown(
                    "section",
                    &header.name,
                    SECTIONS.iter().map(|s| s.name).chain(OTHERS.iter().copied()),
                );
                let mut found = self.place(&header.name, "", wrong.0);
                found.line = Some(header.line);
                // A section with no known name near it belongs to another program's part of the file.
                if wrong.1 {
                    self.mistakes.push(found)
                } else {
                    self.notices.push(found)
                }
            }
        }
        for entry in &self.ini.entries {
            let Some(section) = SECTIONS.iter().find(|s| s.name == entry.section) else {
                continue;
            };
            self.unknown_option(section, entry);
        }
    }

    fn unknown_option(&mut self, section: &SectionSpec, entry: &Entry) {
        let names = section
            .options
            .iter()
            .flat_map(|o| [Some(o.name), o.alias])
            .flatten();
        if names.clone().any(|name| name == entry.key) {
            return;
        }
        let unused = UNUSED
            .iter()
            .any(|(s, keys)| *s == section.name && keys.contains(&entry.key.as_str()));
        let wrong = if unused {
            Wrong::new(
                "this version has no use for the option",
                "remove it, or leave it for another version",
            )
        } else {
            unknown("option", &entry.key, names).0
        };
        let mut found = self.place(section.name, &entry.key, wrong);
        found.line = Some(entry.line);
        if unused {
            self.notices.push(found)
        } else {
            self.mistakes.push(found)
        }
    }
}

fn known_section(name: &str) -> bool {
    OTHERS.contains(&name) || SECTIONS.iter().any(|s| s.name == name)
}

/// What to say of an unknown name, and whether it is near to a known one.
fn unknown<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> (Wrong, bool) {
    let lower = name.to_ascii_lowercase();
    let near = known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_ascii_lowercase()), k))
        .filter(|(distance, _)| *distance <= NEAR)
        .min();
    match near {
        Some((_, near)) => (
            Wrong::new(
                format!("there is no such {what}"),
                format!("did you mean {near}?"),
            ),
            true,
        ),
        None => {
            let instead = "remove it; `ncp config doc` lists what there is";
            (Wrong::new(format!("there is no such {what}"), instead), false)
        }
    }
}

fn by_default<F: Field>(spec: &OptionSpec) -> F {
    let texts = match spec.default {
        Default::Text(text) => words(text, spec.list),
        Default::Unset | Default::Required => Vec::new(),
    };
    #[expect(clippy::expect_used, reason = "a test reads every default of the table")]
    F::parse(&texts).expect("the table's defaults can be read")
}
