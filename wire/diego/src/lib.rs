//! Diego's wire contract, for clients and for servers that stand in for Diego.
//!
//! - [`bbs`]: messages of the BBS, a subset sufficient for a network controller;
//! - [`locket`]: messages, client and server of the lock service;
//! - [`routes`]: request paths, and which platform age serves which;
//! - [`sse`]: framing of event streams;
//! - [`event`]: event names and their messages as one enum;
//! - [`lrp`]: names and small conversions that both ends need.
//!
//! Nothing here opens a socket or reads a clock.

pub mod event;
pub mod lrp;
pub mod routes;
pub mod sse;

mod redact;

/// Messages of the BBS: one protobuf message is the whole body, in both directions.
///
/// Free text that the server does not check (crash reasons, placement errors, task results, values of
/// environment variables) is `bytes`: one bad character would otherwise lose the whole message.
/// Repeated integers are written unpacked, as the server does. Registry credentials, downloads and
/// volumes are not declared, so decoding skips them.
#[allow(clippy::large_enum_variant)]
pub mod bbs {
    tonic::include_proto!("bbs");
}

/// Messages, client and server of Locket: gRPC, request paths `/models.Locket/…`.
pub mod locket {
    // The generated service modules carry no comments of their own.
    #![allow(missing_docs)]
    tonic::include_proto!("models");

    /// The value of [`Resource::type`](Resource) that goes with [`TypeCode::Lock`].
    pub const TYPE_LOCK: &str = "lock";
    /// The value of [`Resource::type`](Resource) that goes with [`TypeCode::Presence`].
    pub const TYPE_PRESENCE: &str = "presence";
}
