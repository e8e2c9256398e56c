//! What the core says in documents is what it says in code, and what the engine does in simulated worlds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod brakes;
mod caps;
mod crash;
mod documents;
mod facts;
mod far;
mod gaps;
mod laws;
mod plans;
mod sim;
mod toy;
mod worlds;
