//! What is wrong with a configuration, said so that it can be mended in one go.

use std::fmt;
use std::path::{Path, PathBuf};

/// The guide's code for all of them: "Invalid configuration".
pub const CODE: &str = "NCP00001";

/// One thing to mend, or (as a notice) one thing to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line of the option or of its section's header; none for what the file lacks.
    pub line: Option<usize>,
    /// Section, without brackets; empty for a line outside of all.
    pub section: String,
    /// Option; empty for a line that holds none.
    pub key: String,
    /// What is wrong. Never contains the value of a secret option.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl Mistake {
    /// The mistake as one line, with the name of the file it is in.
    pub fn at<'a>(&'a self, file: &'a Path) -> impl fmt::Display + 'a {
        Located { mistake: self, file }
    }
}

struct Located<'a> {
    mistake: &'a Mistake,
    file: &'a Path,
}

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake {
            line,
            section,
            key,
            wrong,
            instead,
        } = self.mistake;
        write!(f, "{}", self.file.display())?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
        }
        if !section.is_empty() {
            write!(f, " [{section}]")?;
        }
        if !key.is_empty() {
            write!(f, " {key}")?;
        }
        write!(f, ": {wrong}; {instead}")
    }
}

/// All mistakes of one file, in the order of its lines; those of options that the file lacks come
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The file.
    pub file: PathBuf,
    /// Never empty.
    pub list: Vec<Mistake>,
}

impl Mistakes {
    /// Sorts by line; `None` if there is nothing to report.
    pub(super) fn of(file: &Path, mut list: Vec<Mistake>) -> Option<Self> {
        list.sort_by_key(|m| m.line);
        (!list.is_empty()).then(|| Self {
            file: file.to_owned(),
            list,
        })
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.list.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{CODE} {}", mistake.at(&self.file))?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
