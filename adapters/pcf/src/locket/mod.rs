//! Leadership by a lock in Locket, Diego's lock service.
//!
//! - [`Lease`]: when leadership holds, as arithmetic;
//! - [`LocketClient`]: the gRPC calls; [`Locks`]: what the runner needs of them;
//! - [`Contender`]: the loop that keeps or seeks the lock and publishes a [`Fence`].

mod client;
mod lease;
mod runner;

pub use client::{Holder, LockClaim, LocketClient, LocketError, LocketOptions, Locks};
pub use lease::{Fence, Lease, LeaseTimings, Outcome};
pub use runner::{Clock, Contender, HolderView, TokioClock};
