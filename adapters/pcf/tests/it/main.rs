//! The clients against a foundation that speaks the real protocols.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bbs;
mod capi;
mod locket;
mod policy;
mod support;
