//! What the core says in documents is what it says in code.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod documents;
