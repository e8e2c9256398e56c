//! Why an instruction cannot be carried out.

/// A refused instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// Nothing of that kind has this name or guid.
    #[error("there is no {kind} {name}; `status` lists what there is")]
    NotFound {
        /// What was looked for.
        kind: &'static str,
        /// By what name or guid.
        name: String,
    },
    /// The name is taken in its scope.
    #[error("{kind} {name} exists already; choose another name")]
    Exists {
        /// What was to be made.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Several things have this name; their scope must be given.
    #[error("{kind} {name} is ambiguous; give its guid or its full name (org/space/app)")]
    Ambiguous {
        /// What was looked for.
        kind: &'static str,
        /// By what name.
        name: String,
    },
    /// The thing is not in a state that allows this.
    #[error("{what}")]
    Conflict {
        /// What stands against it and what to do.
        what: String,
    },
}

impl WorldError {
    pub(crate) fn not_found(kind: &'static str, name: &str) -> Self {
        Self::NotFound {
            kind,
            name: name.to_owned(),
        }
    }

    pub(crate) fn exists(kind: &'static str, name: &str) -> Self {
        Self::Exists {
            kind,
            name: name.to_owned(),
        }
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }
}
