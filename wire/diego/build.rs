//! Compiles the `.proto` files with a compiler written in Rust, so that no machine needs `protoc`.

use std::error::Error;

/// Messages whose text may hold credentials or private keys; `src/redact.rs` writes their `Debug`.
const SECRET: [&str; 2] = [".bbs.EnvironmentVariable", ".bbs.ProtoRoutes"];

const FILES: [&str; 9] = [
    "proto/bbs/common.proto",
    "proto/bbs/actions.proto",
    "proto/bbs/desired_lrp.proto",
    "proto/bbs/actual_lrp.proto",
    "proto/bbs/task.proto",
    "proto/bbs/cells.proto",
    "proto/bbs/requests.proto",
    "proto/bbs/events.proto",
    "proto/locket/locket.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure()
        .btree_map(".")
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}
