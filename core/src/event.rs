//! What an adapter sends: scoped, level-triggered.
//!
//! Every fact belongs to one [`Scope`]. A listing is mark and sweep: `Begin`, `Upsert`s, `End`; what
//! the listing did not mention is gone at `End`, and only then. An event never says what to do: it
//! says what is, so a missed, doubled or reordered one is mended by the next listing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Name, WorkloadId};
use crate::intent::{Fact, FactKey, Origin};

/// One part of one source, whose completeness is known as a whole: the security groups of CAPI, the
/// instances of one BBS domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The source, such as `capi`.
    pub source: Name,
    /// What of it, such as `security-groups`.
    pub kind: ScopeKind,
    /// Which part of that, such as a domain; empty if there is one part.
    pub part: Name,
}

/// What a scope's facts are about; the retirement table speaks of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ScopeKind {
    /// Machines.
    Nodes,
    /// Tenants.
    Projects,
    /// Containers.
    Workloads,
    /// Policies.
    Policies,
}

impl Scope {
    /// The scope of these three.
    pub fn new(source: &str, kind: ScopeKind, part: &str) -> Scope {
        Scope {
            source: Name::new(source),
            kind,
            part: Name::new(part),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.source, self.kind)?;
        if self.part != Name::new("") {
            write!(f, "/{}", self.part)
        } else {
            Ok(())
        }
    }
}

/// What an adapter says.
#[derive(Clone, Debug)]
pub enum Event {
    /// A listing of this scope begins. A later `Begin` of the scope abandons this one.
    Begin {
        /// The scope.
        scope: Scope,
        /// Which listing; rises.
        generation: u64,
    },
    /// This is so. Within a listing or between listings.
    Upsert {
        /// The scope it belongs to.
        scope: Scope,
        /// The fact.
        fact: Fact,
    },
    /// This is no longer so.
    Remove {
        /// The scope it belonged to.
        scope: Scope,
        /// The fact's key.
        key: FactKey,
    },
    /// The listing is complete: what it did not mention is gone.
    End {
        /// The scope.
        scope: Scope,
        /// Which listing.
        generation: u64,
    },
    /// Whether absence in this scope means anything now (a stale domain, a source that is down: no).
    /// A scope is trusted from its first `End` on, until this says otherwise. An `End` in a scope that
    /// is not trusted sweeps nothing, so trust is given back before the `End` that it is meant for.
    Trust {
        /// The scope.
        scope: Scope,
        /// Whether it is.
        trusted: bool,
    },
    /// The node itself says that the container is gone.
    Departed {
        /// The container.
        workload: WorkloadId,
    },
    /// Something the adapter found wrong with an object, or (with no defects) no longer finds wrong.
    Report {
        /// The object.
        origin: Origin,
        /// What is wrong with it.
        defects: Vec<crate::intent::Defect>,
    },
}
