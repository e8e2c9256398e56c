//! Secrets, given in the file or, better, kept outside of it (L-58).

use super::{Value, Wrong};
use crate::config::surroundings::Surroundings;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// Where a secret is to be had.
#[derive(Debug, Clone)]
pub enum Secret {
    /// It stands in the file.
    Here(SecretString),
    /// `FILE:<path>`: the file's content without the line end.
    File(PathBuf),
    /// `ENV:<name>`: the value of an environment variable.
    Variable(String),
}

impl Secret {
    /// Fetches the secret.
    ///
    /// # Errors
    /// [`Wrong`] if the file or the variable is missing or empty.
    pub fn fetch(&self, around: &dyn Surroundings) -> Result<SecretString, Wrong> {
        let (text, from) = match self {
            Self::Here(secret) => return Ok(secret.clone()),
            Self::File(path) => {
                let from = format!("file {}", path.display());
                let text = around.file(path).map_err(|e| {
                    Wrong::new(
                        format!("{from} can't be read: {e}"),
                        "name a file that this user can read",
                    )
                })?;
                (text.trim_end_matches(['\r', '\n']).to_owned(), from)
            }
            Self::Variable(name) => {
                let from = format!("environment variable {name}");
                let text = around.variable(name).ok_or_else(|| {
                    Wrong::new(
                        format!("{from} is not set"),
                        "set it for this process, or name another",
                    )
                })?;
                (text, from)
            }
        };
        let secret = SecretString::from(text);
        if secret.expose_secret().is_empty() {
            return Err(Wrong::new(format!("{from} is empty"), "put the secret there"));
        }
        Ok(secret)
    }
}

impl Value for Secret {
    const SECRET: bool = true;

    fn kind() -> String {
        "secret: the text itself, FILE:<path> or ENV:<variable>".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Some(path) = text.strip_prefix("FILE:") {
            return match path.trim() {
                "" => Err(Wrong::new("FILE: names no file", "write FILE:<path>")),
                path => Ok(Self::File(path.into())),
            };
        }
        if let Some(name) = text.strip_prefix("ENV:") {
            return match name.trim() {
                "" => Err(Wrong::new("ENV: names no variable", "write ENV:<variable>")),
                name => Ok(Self::Variable(name.to_owned())),
            };
        }
        Ok(Self::Here(SecretString::from(text)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::tests::World;

    #[test]
    fn a_secret_may_live_elsewhere() {
        let world = World::default()
            .file("/pw", "from file\n")
            .variable("PW", "from env")
            .file("/void", "\n");
        for (text, want) in [
            ("plain", "plain"),
            ("FILE:/pw", "from file"),
            ("ENV:PW", "from env"),
        ] {
            let got = Secret::parse(text).unwrap().fetch(&world).unwrap();
            assert_eq!(got.expose_secret(), want);
        }
        for text in ["FILE:/nowhere", "ENV:NOTHING", "FILE:/void"] {
            assert!(Secret::parse(text).unwrap().fetch(&world).is_err(), "{text}");
        }
        assert!(Secret::parse("FILE:").is_err());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let printed = format!("{:?}", Secret::parse("hunter2").unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
