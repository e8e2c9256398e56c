//! HTTP side of the NSX-T manager API client.
//!
//! ```text
//!  caller ─▶ Api ─▶ Cluster::admit ──────────▶ Endpoint ─────────▶ Connection ─▶ manager
//!            │       which manager, a free      session, idle       gate: counts bytes,
//!            │       slot, a credit of Pace     connections         checks the fence
//!            └── redirects, repeats of reads, classification of the answer
//! ```
//!
//! Two questions shape it, and both are about *writes*:
//!
//! * *Has anything been sent?* A manager's POST is not idempotent, so a write that may have arrived must never
//!   be repeated blindly ([`Class::Uncertain`]), while one that certainly did not may go to the next manager
//!   ([`Class::NeverSent`]). Guessing this from the error of an HTTP library is fragile, so the connection
//!   counts the bytes it hands to the socket. That is why this module drives `hyper` connections itself instead
//!   of using a pooling client on top of it.
//! * *May it still be sent?* A write carries a [`Deadline`], the end of the leadership under which it was
//!   decided. It is checked by the socket wrapper in the very call that would write the first byte, so neither a
//!   slow connect nor a process that was frozen and thawed can start a write too late.
//!
//! Writes are otherwise never repeated here: the reconciling engine above reads again and decides anew. Reads
//! are repeated on other managers.

mod address;
mod api;
mod classify;
mod cluster;
mod connection;
mod deadline;
mod endpoint;
mod error;
mod list;
mod observe;
mod options;
mod pace;
mod request;
mod resolve;
mod search;
mod session;
mod tls;
mod version;

pub use address::{AddressError, ManagerAddress, Scheme};
pub use api::Api;
pub use classify::{Class, Refusal, Related};
pub use cluster::{ClusterHealth, ClusterStatus, EndpointStatus};
pub use deadline::Deadline;
pub use error::{CallName, NotSent, OptionsError, TransportError, WireError};
pub use list::Pages;
pub use observe::{Counters, NoObserver, RequestObserver, RequestRecord};
pub use options::{Auth, Options, Pem, Trust};
pub use pace::{Pace, Ticket};
pub use request::{Request, Response, escape_segment};
pub use resolve::{ResolveError, ResolveKind, Resolved};
pub use search::{Query, escape_term};
pub use version::Version;
