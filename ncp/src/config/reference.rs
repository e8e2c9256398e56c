//! The reference page and the sample file, both written from the table.

use super::sections::SECTIONS;
use super::table::{Default, OptionSpec, SectionSpec};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by `ncp config doc`; a test keeps it so. Edit ncp/src/config/sections.rs instead. -->

The controller reads one file in INI form, `/etc/nsx-ujo/ncp.ini` unless `--config` names another.

- `[section]` opens a section, `option = value` sets an option, `#` or `;` at the start of a line makes it a
  comment. A `#` behind a value is part of the value.
- An indented line continues the value above it. Lists are separated by commas or lines, or the option is repeated.
- One pair of quotes around a value is taken off. `option =` and `option = None` leave the option unset.
- Secrets may be kept outside: `FILE:<path>` reads a file, `ENV:<variable>` an environment variable.
- The file may be shared with the node's components; their sections are left alone. A misspelt option in a section
  of this page is a mistake.

All mistakes are reported at once under code NCP00001, and the exit status is 78. `ncp check --offline` reads the file
and does nothing else. Options marked *no effect yet* are read and checked only; one that is set is noted at the start.
";

/// The reference page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let _infallible = write_section(&mut page, section);
    }
    page
}

fn write_section(page: &mut String, section: &SectionSpec) -> std::fmt::Result {
    let doc = joined(section.doc);
    writeln!(page, "\n## `[{}]`\n\n{doc}\n", section.name)?;
    writeln!(
        page,
        "| option | takes | default | meaning | from |\n| --- | --- | --- | --- | --- |"
    )?;
    for option in section.options {
        let alias = option.alias.map(|a| format!(" (or `{a}`)")).unwrap_or_default();
        let idle = if option.acts { "" } else { " *No effect yet.*" };
        writeln!(
            page,
            "| `{}`{alias} | {} | {} | {}{idle} | {} |",
            option.name,
            (option.kind)().replace('<', "\\<"),
            default(option),
            joined(option.doc).replace('|', "\\|"),
            option.from
        )?;
    }
    Ok(())
}

fn default(option: &OptionSpec) -> String {
    match option.default {
        Default::Text(text) => format!("`{text}`"),
        Default::Unset => "unset".into(),
        Default::Required => "**required**".into(),
    }
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// A file with every option commented out at its default, and those that must be set left to fill in.
pub fn sample() -> String {
    let mut file =
        String::from("# Configuration of the network controller. Commented options show their defaults.\n");
    for section in SECTIONS {
        let _infallible = write_sample(&mut file, section);
    }
    file
}

fn write_sample(file: &mut String, section: &SectionSpec) -> std::fmt::Result {
    for line in section.doc {
        write!(file, "\n# {}", line.trim())?;
    }
    writeln!(file, "\n[{}]", section.name)?;
    for option in section.options {
        for line in option.doc {
            writeln!(file, "# {}", line.trim())?;
        }
        if !option.acts {
            writeln!(file, "# (No effect yet.)")?;
        }
        writeln!(file, "# Takes: {}", (option.kind)())?;
        match option.default {
            Default::Text(text) => writeln!(file, "#{} = {text}", option.name)?,
            Default::Unset => writeln!(file, "#{} = None", option.name)?,
            Default::Required => writeln!(file, "{} =", option.name)?,
        }
    }
    Ok(())
}
