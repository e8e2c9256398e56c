//! The NSX-T backend: turns topology objects into calls on the NSX-T manager API and reads back what stands.
//!
//! [`transport`] is the HTTP side: several managers, authentication, pacing, fences, lists and the
//! classification of every answer. It knows paths and JSON, and nothing of what the objects mean.

pub mod manager;
pub mod transport;
