//! What a container platform's objects mean for the network.
//!
//! ```text
//! adapter ─ Event ─▶ index ─ dirty keys ─▶ compile ─▶ topology objects ─▶ dialect rows
//!                                             ▲                               │ wanted
//!                          choices ───────────┘                               ▼
//! far end ◀─ batches, reads ─────────────────────────────────────────────  planner
//!     └───── outcomes, chunks ───────────────────────────────────────▶  (seen rows)
//! ```
//!
//! Everything is level-triggered: what to do follows from wanted minus seen, never from an event. The
//! crate knows no runtime, socket, file, environment or clock; time comes in as an argument.

pub mod adapter;
pub mod choices;
pub mod code;
pub mod compile;
pub mod condition;
pub mod dialect;
pub mod digest;
pub mod engine;
pub mod event;
pub mod id;
pub mod index;
pub mod intent;
pub mod net;
pub mod planner;
pub mod settings;
pub mod time;
pub mod topology;
pub mod trace;
pub mod verdict;
