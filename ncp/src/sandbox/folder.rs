//! Where a sandbox keeps its files.

use std::path::{Path, PathBuf};

use super::SandboxError;

/// A folder that goes with the sandbox, unless the user named it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    ours: bool,
}

impl Folder {
    pub(super) fn open(named: Option<&Path>) -> Result<Folder, SandboxError> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("ncp-sandbox-{}", uuid::Uuid::new_v4().simple())),
        };
        std::fs::create_dir_all(&path).map_err(|source| SandboxError::File {
            what: path.display().to_string(),
            source,
        })?;
        Ok(Folder {
            path,
            ours: named.is_none(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.ours {
            // A folder of temporary files that stays is no harm.
            let _stays = std::fs::remove_dir_all(&self.path);
        }
    }
}
