//! Cloud Controller: organizations, spaces and security groups with their bindings.
//!
//! - [`client`](CapiClient): authenticated requests, and which API versions a foundation has;
//! - `page`: when several pages make one consistent listing;
//! - `resource`, `legacy`: the v3 and v2 forms of the three kinds;
//! - [`watch`](CapiWatch): the poll loop that turns them into [`CapiUpdate`]s.
//!
//! Apps, processes and instances are never asked for: the BBS carries what the network needs of them, and
//! a request per app would write an audit event each time.

mod client;
mod error;
mod legacy;
mod page;
mod resource;
#[cfg(test)]
mod tests;
mod watch;

pub use client::{CapiClient, CapiOptions, ChangeToken, Listed, Versions};
pub use error::{ApiError, CapiError};
pub use page::Unsteady;
pub use resource::{Organization, SecurityGroup, Space};
pub use watch::{CapiUpdate, CapiWatch, Listing, WatchOptions};
