//! The manager API (`/api/v1`) as a dialect of the core, and its far end.
//!
//! ```text
//! topology object ── render ──▶ Body<RowKey> ── resolve ──▶ Body<Handle> ── json ──▶ the wire
//!                                                              ▲
//!                                    what a list shows ── read ┘     compared by digest
//! ```
//!
//! One [`Body`] says what this product manages of an NSX object, once with references by key (what is
//! wanted) and once with references by NSX's ids (what is sent, and what is read back). Fields that
//! NSX adds are neither compared nor lost.

mod body;
mod dialect;
mod environment;
mod far_end;
mod json;
mod names;
mod part;
mod render;
mod resolve;
mod tags;

pub use body::{Apart, Body, PeerSet, RuleBody, Target, Translated};
pub use dialect::{Manager, Op};
pub use environment::{EnvironmentError, Named, resolve_environment};
pub use far_end::{Clock, NsxFarEnd};
pub use names::{Block, Environment, Limits, NodeMatch, NodeTag, shorten};
pub use part::{Collection, Cursor, Handle, Part};
pub use tags::{Marks, Tag, owner_of};
