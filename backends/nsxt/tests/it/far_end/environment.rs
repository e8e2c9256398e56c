//! The operator's names.

use std::time::Duration;

use ncp_core::code::Code;
use ncp_nsxt::manager::resolve_environment;
use ncp_nsxt::transport::Deadline;
use serde_json::json;

use super::world::{World, named};

#[tokio::test]
async fn names_become_ids() {
    let world = World::start().await;
    let env = world.manager.environment();
    assert_eq!(env.tier0.to_string(), world.made.tier0);
    assert_eq!(env.overlay_zone.to_string(), world.made.transport_zone);
    assert_eq!(env.container_blocks[0].id.to_string(), world.made.blocks[0]);
    assert_eq!(env.external_pools[0].to_string(), world.made.pools[0]);
    assert_eq!(
        env.top_marker.as_ref().unwrap().to_string(),
        world.made.top_section
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let world = World::start().await;
    let mut wrong = named("c1");
    wrong.overlay_zone = Some("vlan-tz".into());
    wrong.container_blocks = vec!["no-such-block".into()];
    wrong.external_pools = vec!["no-such-pool".into()];
    std::mem::swap(&mut wrong.top_marker, &mut wrong.bottom_marker);
    wrong.subnet_prefix = 8;
    let error = resolve_environment(&world.api, &wrong).await.unwrap_err();
    let codes: Vec<Code> = error.0.iter().map(|f| f.code).collect();
    let expected = [
        Code::InvalidNsxConfiguration,
        Code::NsxConfigurationValidationFailed,
        Code::IpPoolNotFound,
        Code::InvalidNsxConfiguration,
    ];
    assert_eq!(codes, expected, "{error}");
    assert!(error.to_string().contains("below that of"), "R-FW-02: {error}");
    assert!(!error.is_passing());
}

#[tokio::test]
async fn an_active_active_tier0_and_a_doubled_marker_are_refused() {
    let world = World::start().await;
    let deadline = Deadline::after(Duration::from_secs(60));
    let router =
        json!({ "display_name": "t0-aa", "router_type": "TIER0", "high_availability_mode": "ACTIVE_ACTIVE" });
    world
        .api
        .post("/logical-routers", &[], Some(&router), deadline)
        .await
        .unwrap();
    let section =
        json!({ "display_name": "top_firewall_section_marker", "section_type": "LAYER3", "stateful": true });
    world
        .api
        .post("/firewall/sections", &[], Some(&section), deadline)
        .await
        .unwrap();
    let mut wrong = named("c1");
    wrong.tier0 = "t0-aa".into();
    wrong.overlay_zone = None;
    let error = resolve_environment(&world.api, &wrong).await.unwrap_err();
    let codes: Vec<Code> = error.0.iter().map(|f| f.code).collect();
    let expected = [
        Code::InvalidNsxConfiguration,
        Code::T0EdgeClusterNotFound,
        Code::InvalidNsxConfiguration,
        Code::MultipleFirewallsFound,
    ];
    assert_eq!(codes, expected, "R-RES-04, R-FW-05: {error}");
}
