//! The INI dialect of `ncp.ini`, read with line numbers.
//!
//! The files that operators have were written for an oslo-style parser, so that is the dialect:
//! `[section]` headers, `key = value` or `key: value`, `#` and `;` comments on lines of their own, and
//! indented lines that continue the value above. A `#` *inside* a value belongs to the value, since
//! passwords contain it. General INI crates drop the line of a key, and without it a message can't
//! point at the mistake; hence this reader. It knows nothing of options and types.
//!
//! Where the original dialect would take a slip for something else without a word (an indented
//! comment for part of a value, say) this one takes it for what it evidently is, or reports it.

/// One `key = value`, with the lines that continue it joined by line feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name of the section, without brackets.
    pub(super) section: String,
    /// Name of the option as written.
    pub(super) key: String,
    /// The value without surrounding blanks; quotes are still there.
    pub(super) value: String,
    /// Line of the key, counted from 1.
    pub(super) line: usize,
}

/// A `[section]` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Name without brackets.
    pub(super) name: String,
    /// Line of the header, counted from 1.
    pub(super) line: usize,
}

/// A line that is none of the things a line can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) wrong: &'static str,
    /// What to write instead.
    pub(super) instead: &'static str,
}

/// What a file says, in its own order. Sections may be opened more than once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Ini {
    /// Headers in file order.
    pub(super) headers: Vec<Header>,
    /// Options in file order.
    pub(super) entries: Vec<Entry>,
    /// Lines that could not be read. The rest of the file is read all the same, so that all
    /// mistakes can be reported at once.
    pub(super) faults: Vec<Fault>,
}

/// Reads `text` whole.
pub(super) fn read(text: &str) -> Ini {
    let mut ini = Ini::default();
    let mut continues = false;
    // An editor's byte order mark is no part of the first section's name.
    for (at, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        continues = ini.line(at + 1, raw, continues);
    }
    ini
}

impl Ini {
    /// Takes one line; says whether an indented line after it continues a value.
    fn line(&mut self, line: usize, raw: &str, continues: bool) -> bool {
        let text = raw.trim();
        if text.is_empty() {
            return false;
        }
        if text.starts_with(['#', ';']) {
            return continues;
        }
        if raw.starts_with([' ', '\t']) {
            self.continuation(line, text, continues);
            return continues;
        }
        match text.strip_prefix('[') {
            Some(rest) => self.header(line, rest),
            None => return self.entry(line, text),
        }
        false
    }

    fn continuation(&mut self, line: usize, text: &str, continues: bool) {
        match self.entries.last_mut() {
            Some(entry) if continues => {
                if !entry.value.is_empty() {
                    entry.value.push('\n');
                }
                entry.value.push_str(text);
            }
            _ => self.fault(
                line,
                "the line is indented but there is no value above that it could continue",
                "remove the blanks at its start",
            ),
        }
    }

    fn header(&mut self, line: usize, rest: &str) {
        match rest.strip_suffix(']').map(str::trim) {
            Some(name) if !name.is_empty() => self.headers.push(Header {
                name: name.to_owned(),
                line,
            }),
            _ => self.fault(
                line,
                "a section header needs a name and a closing bracket",
                "write [section]",
            ),
        }
    }

    fn entry(&mut self, line: usize, text: &str) -> bool {
        let Some((key, value)) = text
            .split_once(['=', ':'])
            .filter(|(key, _)| !key.trim().is_empty())
        else {
            self.fault(
                line,
                "the line is neither a section, nor an option, nor a comment",
                "write option = value, or # before a comment",
            );
            return false;
        };
        let Some(header) = self.headers.last() else {
            self.fault(
                line,
                "the option stands before the first section",
                "put [DEFAULT] above it",
            );
            return false;
        };
        let section = header.name.clone();
        self.entries.push(Entry {
            section,
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            line,
        });
        true
    }

    fn fault(&mut self, line: usize, wrong: &'static str, instead: &'static str) {
        self.faults.push(Fault { line, wrong, instead });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// What is tried, the text, and `section/key`, value and line of each option in it.
    type Case = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str, usize)],
    );

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        read(text)
            .entries
            .into_iter()
            .map(|e| (format!("{}/{}", e.section, e.key), e.value, e.line))
            .collect()
    }

    /// R-CFG-01, and what oslo-style files look like in the field.
    #[test]
    fn reads_the_dialect_of_the_guide() {
        let cases: &[Case] = &[
            ("an option", "[a]\nb = c", &[("a/b", "c", 2)]),
            ("a colon separates too", "[a]\nb: c=d", &[("a/b", "c=d", 2)]),
            (
                "only the first separator counts",
                "[a]\nurl = https://h:1/",
                &[("a/url", "https://h:1/", 2)],
            ),
            (
                "comments of both kinds",
                "# x\n[a]\n; y\nb = c # d",
                &[("a/b", "c # d", 4)],
            ),
            (
                "lines that continue",
                "[a]\nb = 1,\n  2\n\t3\nc = 4",
                &[("a/b", "1,\n2\n3", 2), ("a/c", "4", 5)],
            ),
            (
                "a comment amid them",
                "[a]\nb = 1\n  # no\n  2",
                &[("a/b", "1\n2", 2)],
            ),
            ("a value that starts below", "[a]\nb =\n  2", &[("a/b", "2", 2)]),
            (
                "a section opened twice",
                "[a]\nb = 1\n[c]\n[a]\nb = 2",
                &[("a/b", "1", 2), ("a/b", "2", 5)],
            ),
            (
                "line ends of other systems",
                "\u{feff}[a]\r\nb = c\r\n",
                &[("a/b", "c", 2)],
            ),
        ];
        for (name, text, want) in cases {
            let want: Vec<_> = want
                .iter()
                .map(|(k, v, l)| ((*k).to_owned(), (*v).to_owned(), *l))
                .collect();
            assert_eq!(pairs(text), want, "{name}");
            assert_eq!(read(text).faults, [], "{name}");
        }
    }

    #[test]
    fn reports_each_line_it_cannot_read() {
        let ini = read("early = 1\n  indented\n[open\n[]\n[a]\nnonsense\n= 3\nb = c\n\n  late");
        assert_eq!(
            ini.faults.iter().map(|f| f.line).collect::<Vec<_>>(),
            [1, 2, 3, 4, 6, 7, 10]
        );
        assert_eq!(ini.entries.len(), 1);
    }

    proptest! {
        /// Whatever is thrown at it, each line ends up in exactly one place.
        #[test]
        fn loses_no_line(text in "[ \t\n=\\[\\]#;:ab]{0,200}") {
            let ini = read(&text);
            let ends: Vec<usize> = ini.faults.iter().map(|f| f.line)
                .chain(ini.headers.iter().map(|h| h.line))
                .chain(ini.entries.iter().map(|e| e.line)).collect();
            for (at, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
                let comment = line.trim().starts_with(['#', ';']);
                let indented = line.starts_with([' ', '\t']);
                let seen = ends.iter().filter(|end| **end == at + 1).count();
                prop_assert!(if comment { seen == 0 } else if indented { seen <= 1 } else { seen == 1 }, "{line:?}");
            }
        }

        /// What a template renders is what is read.
        #[test]
        fn reads_back_what_was_written(
            entries in prop::collection::vec(("[a-z_]{1,8}", "[a-z_]{1,12}", "[!-~]([ -~]{0,20}[!-~])?"), 0..20)
        ) {
            let text: String = entries.iter().map(|(s, k, v)| format!("[{s}]\n{k} = {v}\n")).collect();
            let got: Vec<_> = read(&text).entries.into_iter().map(|e| (e.section, e.key, e.value)).collect();
            prop_assert_eq!(got, entries);
        }
    }
}
