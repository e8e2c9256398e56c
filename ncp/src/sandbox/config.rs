//! The configuration file of a sandbox.

use std::path::Path;

use foundation_emulator::Foundation;
use nsx_manager_emulator::{Credentials, Emulator, LogMode, Options, State};

use super::SandboxError;
use crate::config::Config;

/// The sandbox's foundation name.
pub(super) const CLUSTER: &str = "sandbox";

pub(super) fn managers(state: Option<&Path>) -> Options {
    Options {
        managers: 3,
        state: state.map_or(State::Memory, |dir| State::File(dir.join("nsx.sqlite"))),
        log: LogMode::Full(100_000),
        ..Options::default()
    }
}

pub(super) fn write(
    folder: &Path,
    managers: &Emulator,
    foundation: &Foundation,
) -> Result<Config, SandboxError> {
    let file = folder.join("ncp.ini");
    let text = text(folder, managers, foundation);
    std::fs::write(&file, text).map_err(|source| SandboxError::File {
        what: file.display().to_string(),
        source,
    })?;
    Config::load(&file).map_err(SandboxError::Config)
}

fn text(folder: &Path, managers: &Emulator, foundation: &Foundation) -> String {
    let ends = foundation.endpoints();
    let who = foundation.credentials();
    let nsx = Credentials::default();
    format!(
        "\
# Written by `ncp sandbox`; everything named here ends with it.
[DEFAULT]
use_stderr = False

[coe]
adaptor = pcf
cluster = {CLUSTER}

[nsx_v3]
nsx_api_managers = {managers}
nsx_api_user = {user}
nsx_api_password = {password}
tier0_router = tier0
overlay_tz = overlay-tz
container_ip_blocks = container-block-1
external_ip_pools = snat-pool
top_firewall_section_marker = top_firewall_section_marker
bottom_firewall_section_marker = bottom_firewall_section_marker

[cf]
uaa_url = {uaa}
uaa_client_id = {client}
uaa_client_secret = {secret}
capi_url = {capi}
capi_internal_url = {capi_internal}
bbs_urls = {bbs}
policy_server_url = {policy}
locket_addresses = {locket}
platform_sources = 10.0.4.0/24

[ncp]
admin_socket = {socket}
",
        managers = managers.urls().join(", "),
        user = nsx.username,
        password = nsx.password,
        uaa = ends.uaa,
        client = who.client_id,
        secret = who.client_secret,
        capi = ends.capi,
        capi_internal = ends.capi_internal,
        bbs = ends.bbs.join(", "),
        policy = ends.policy_internal,
        locket = ends.locket.trim_start_matches("http://"),
        socket = folder.join("ncp.sock").display(),
    )
}
