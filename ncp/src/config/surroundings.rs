//! What a configuration may refer to outside its own file: other files and the environment.

use std::io;
use std::path::Path;

/// Files and environment as the reader sees them. A trait, so that tests of the configuration touch
/// neither.
pub trait Surroundings {
    /// The whole of a text file.
    ///
    /// # Errors
    /// As of [`std::fs::read_to_string`].
    fn file(&self, path: &Path) -> io::Result<String>;
    /// The value of an environment variable, if it is set and is text.
    fn variable(&self, name: &str) -> Option<String>;
}

/// This process's own files and environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host;

impl Surroundings for Host {
    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
