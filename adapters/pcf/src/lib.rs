//! Cloud Foundry as an orchestrator: what its APIs say, read into types.
//!
//! ```text
//!  UAA ──token──▶ CAPI ──────────▶ organizations, spaces, security groups   (listings)
//!  BBS lists and streams ────────▶ containers, tasks, cells                 (listings and changes)
//!  policy server ────────────────▶ container-to-container policies          (listings)
//!  Locket ───────────────────────▶ leadership                               (a fence with a deadline)
//! ```
//!
//! The lowest platform followed is [`bbs::LOWEST_DIEGO`] with Cloud Controller's v3 or v2 API; an older one
//! is refused with NCP06001 and the call that it lacks.
//!
//! Sockets are at the edge. What decides is pure and takes the time as an argument: the rule
//! [`grammar`], the page checks of [`capi`], the synchronization of [`bbs`], the lease of [`locket`].

pub mod adapter;
pub mod backoff;
pub mod bbs;
pub mod capi;
pub mod codes;
pub mod grammar;
pub mod http;
pub mod ids;
pub mod intents;
pub mod locket;
pub mod policy_server;
pub mod status;
pub mod tls;
pub mod uaa;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod testing;
