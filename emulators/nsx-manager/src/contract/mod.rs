//! Requests and answers held against NSX's published Swagger definitions.
//!
//! The definitions aren't part of this project: [`Contract::load`] reads a file in their format (Swagger 2.0
//! with `paths` and `definitions`). Each difference is a [`Finding`] with the place in the body.
//! Patterns are not checked beyond MAC addresses, since the definitions' few others concern no field used.

mod operation;
mod schema;

use std::path::{Path, PathBuf};

use serde_json::Value;

pub use self::operation::Operation;

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What kind of difference.
    pub fault: Fault,
    /// Where, such as `attachment.context.vif_type`.
    pub place: String,
    /// What was expected.
    pub expected: String,
}

/// A kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A required field is absent.
    Missing,
    /// A value has the wrong type.
    Type,
    /// A value is none of those listed.
    Enum,
    /// A value or list is too long, too short, too big or too small.
    Limit,
    /// A text isn't in its notation.
    Format,
    /// The definition knows no such field: a fault, unless the field came in another release.
    UnknownField,
    /// The definition knows no such status for this call.
    Status,
}

/// Why a contract can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// No such file, or unreadable.
    #[error("cannot read the contract {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// No JSON.
    #[error("the contract {path:?} is no JSON")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: serde_json::Error,
    },
}

/// The published definitions of one release.
#[derive(Debug, Clone)]
pub struct Contract {
    document: Value,
    name: String,
}

impl Contract {
    /// Reads a Swagger file.
    pub fn load(path: &Path) -> Result<Self, ContractError> {
        let text = std::fs::read(path).map_err(|source| ContractError::Read {
            path: path.to_owned(),
            source,
        })?;
        let document = serde_json::from_slice(&text).map_err(|source| ContractError::Parse {
            path: path.to_owned(),
            source,
        })?;
        let name = path
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Contract { document, name })
    }

    /// A contract from a document in memory.
    pub fn from_document(name: &str, document: Value) -> Self {
        Contract {
            document,
            name: name.to_owned(),
        }
    }

    /// The file's name without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The published call that a request is, or `None` if it isn't published. `path` is whole or below
    /// `/api/v1`.
    pub fn operation(&self, method: &str, path: &str, query: &str) -> Option<Operation<'_>> {
        Operation::find(&self.document, method, path, query)
    }

    /// Judges a request's body; `None` if the call isn't published.
    pub fn validate_request(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: Option<&Value>,
    ) -> Option<Vec<Finding>> {
        let operation = self.operation(method, path, query)?;
        Some(operation.request(body))
    }

    /// Judges an answer's status and body; `None` if the call isn't published.
    pub fn validate_response(
        &self,
        method: &str,
        path: &str,
        query: &str,
        status: u16,
        body: Option<&Value>,
    ) -> Option<Vec<Finding>> {
        let operation = self.operation(method, path, query)?;
        Some(operation.response(status, body))
    }
}
