//! The far end against the emulated manager.

mod claims;
mod environment;
mod reads;
mod world;
mod writes;
