//! Tests of the NSX-T backend over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod far_end;
mod manager;
mod transport;
