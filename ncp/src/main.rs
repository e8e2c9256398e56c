//! The `ncp` program.
fn main() {}
