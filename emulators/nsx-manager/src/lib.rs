//! An NSX-T Manager emulator: the manager API (`/api/v1`) on real sockets, as a server that *judges*.
//!
//! It refuses what a real manager refuses (wrong bodies, missing referents, stale revisions, deletes of what is
//! in use, exceeded limits), with NSX's error bodies, and it says what the network that results would do to a
//! flow. Everything can be made to fail on purpose, and everything asked and answered is logged.
//!
//! - [`Emulator`]: start, stop, and the handles of a running one
//! - [`Options`]: what it is started with
//! - [`Faults`]: what can be made to go wrong
//! - [`RequestLog`]: what was asked and answered
//! - [`Fixture`]: what an operator prepares before a controller comes
//! - [`Inventory`]: reading the objects from a test
//! - [`Flow`], [`Verdict`]: what the realized state does to a connection
//! - [`contract`]: requests and answers held against NSX's published definitions
//!
//! Behind it: `server` (sockets, logins, limits), `api` (calls and answers), `kinds` (fields and rules of each
//! kind of object), `store` (objects, indexes, SQLite), `verdict` (flows against what is realized).

mod api;
pub mod contract;
mod control;
mod emulator;
mod error;
mod faults;
mod fixture;
mod inventory;
mod kinds;
mod log;
mod options;
mod server;
mod store;
mod verdict;

pub use self::emulator::Emulator;
pub use self::error::EmulatorError;
pub use self::faults::{Counted, Effect, Faults, Injection, Matcher, Stop, StopPoint};
pub use self::fixture::{Cell, CellTags, ExternalPool, Fixture, Prepared, UnknownFixture};
pub use self::inventory::Inventory;
pub use self::log::{Counts, Entry, RequestLog, is_write};
pub use self::options::{Credentials, LogMode, Options, State, Tls, UnknownVersion, Version};
pub use self::server::tls::ClientCertificate;
pub use self::verdict::{Action, Decision, End, Flow, Protocol, Reason, Verdict};
