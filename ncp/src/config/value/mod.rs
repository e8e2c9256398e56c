//! The types that option values have. Each parses its own text, names itself for the reference page,
//! and says what to write instead when it refuses.
//!
//! A [`Value`] is one word; a [`Field`] is what an option holds: a value, an optional value, or a
//! list. Options without a value (`key =`) and with the word `None` are unset, since templates render
//! absent properties so.

mod name;
mod net;
mod number;
mod secret;
mod words;

pub use name::{CellVif, Name};
pub use net::{Address, Manager, PlatformSource, WebUrl};
pub use number::{Seconds, Whole};
pub use secret::Secret;
pub use words::{
    Adaptor, CellMatch, DenyAction, IngressMode, L4Persistence, L7Persistence, LogLevel, NodeType,
    PoolAlgorithm, ServiceSize,
};

use std::path::PathBuf;

/// Why a text is no value of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Wrong {
    /// `text` is not what it should be.
    pub(crate) fn new(what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            instead: instead.into(),
        }
    }
}

/// One word of a value.
pub trait Value: Sized {
    /// Its text must not be repeated in messages.
    const SECRET: bool = false;
    /// What it is called in the reference page.
    fn kind() -> String;
    /// Reads it. `text` has neither surrounding blanks nor quotes and is not empty.
    ///
    /// # Errors
    /// [`Wrong`] says what to write instead.
    fn parse(text: &str) -> Result<Self, Wrong>;
}

/// What an option holds.
pub trait Field: Sized {
    /// Several values, separated by commas, lines or repetition of the option.
    const LIST: bool = false;
    /// Its text must not be repeated in messages.
    const SECRET: bool;
    /// What it is called in the reference page.
    fn kind() -> String;
    /// Reads the words of the option; there are none when it is unset.
    ///
    /// # Errors
    /// Each word that is wrong.
    fn parse(words: &[String]) -> Result<Self, Vec<Wrong>>;
}

impl<T: Value> Field for T {
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        T::kind()
    }

    fn parse(words: &[String]) -> Result<Self, Vec<Wrong>> {
        match words {
            [word] => T::parse(word).map_err(|w| vec![w]),
            _ => Err(vec![Wrong::new(
                "there is no value",
                format!("write {}", T::kind()),
            )]),
        }
    }
}

impl<T: Value> Field for Option<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        T::kind()
    }

    fn parse(words: &[String]) -> Result<Self, Vec<Wrong>> {
        words
            .first()
            .map(|word| T::parse(word).map_err(|w| vec![w]))
            .transpose()
    }
}

impl<T: Value> Field for Vec<T> {
    const LIST: bool = true;
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        format!("list of: {}", T::kind())
    }

    fn parse(words: &[String]) -> Result<Self, Vec<Wrong>> {
        let mut wrongs = Vec::new();
        let values = words
            .iter()
            .filter_map(|word| T::parse(word).map_err(|w| wrongs.push(w)).ok())
            .collect();
        if wrongs.is_empty() {
            Ok(values)
        } else {
            Err(wrongs)
        }
    }
}

/// The words of one entry: one for a plain option, any number for a list.
pub(super) fn words(text: &str, list: bool) -> Vec<String> {
    let parts = if list { split(text) } else { vec![text] };
    parts
        .into_iter()
        .map(unquote)
        .filter(|word| !matches!(*word, "" | "None"))
        .map(str::to_owned)
        .collect()
}

/// Cuts at commas and line ends outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut quote = None;
    text.split(move |c: char| match quote {
        Some(open) => {
            if c == open {
                quote = None;
            }
            false
        }
        None if c == '"' || c == '\'' => {
            quote = Some(c);
            false
        }
        None => c == ',' || c == '\n',
    })
    .collect()
}

/// Takes one pair of quotes off, as the guide's samples have them (`'ROUND_ROBIN'`).
fn unquote(text: &str) -> &str {
    let text = text.trim();
    ['\'', '"']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

impl Value for bool {
    fn kind() -> String {
        "True or False".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(Wrong::new(
                format!("{text:?} is neither True nor False"),
                "write True or False",
            )),
        }
    }
}

impl Value for PathBuf {
    fn kind() -> String {
        "path".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.contains(['\n', '\0']) {
            return Err(Wrong::new(
                "the path runs over several lines",
                "write it in one line",
            ));
        }
        Ok(Self::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_and_unquoted() {
        let cases: &[(&str, bool, &[&str])] = &[
            ("a, b ,c", true, &["a", "b", "c"]),
            ("a\nb,\nc", true, &["a", "b", "c"]),
            ("'a, b', \"c\"", true, &["a, b", "c"]),
            ("a, b", false, &["a, b"]),
            ("'ROUND_ROBIN'", false, &["ROUND_ROBIN"]),
            ("''", false, &[]),
            ("None", true, &[]),
            ("it's, ok", true, &["it's, ok"]),
        ];
        for (text, list, want) in cases {
            assert_eq!(words(text, *list), *want, "{text}");
        }
    }

    #[test]
    fn booleans_take_any_case() {
        for (text, want) in [("True", true), ("TRUE", true), ("false", false), ("no", false)] {
            assert_eq!(<bool as Value>::parse(text), Ok(want));
        }
        assert!(<bool as Value>::parse("enable").is_err());
    }
}
