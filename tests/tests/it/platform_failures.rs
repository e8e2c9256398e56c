//! Sources that are down, partial or stale: nothing is taken away on doubt, and all of it recovers by
//! itself.

use std::time::Duration;

use foundation_emulator::{Command, Delays, FailOver, Fault, FaultKind, PolicySpec, Service, StreamFaults};
use ncp_tests::rig::SMALL;
use ncp_tests::{Live, Rig, until};

use crate::platform::{
    agree, containers, containers_of, dials, end, nothing_shown, ports, ports_fit, reaches, shown,
};

async fn world() -> (Rig, Live) {
    let rig = Rig::start(SMALL).await;
    let live = rig.settled().await;
    (rig, live)
}

/// Waits until a source shows that it is down, with the guide's code.
async fn down(live: &Live, source: &str, code: &str) {
    let adapter = live.running().await.adapter;
    until(&format!("{source} shows {code}"), || {
        let sources = adapter.sources();
        let of = sources.iter().find(|s| s.name == source).unwrap();
        matches!(of.health, ncp_pcf::status::Health::Unhealthy { code: shown, .. } if shown == code)
    })
    .await;
}

/// Waits for more complete listings of the BBS.
async fn listings(live: &Live, more: u64) {
    let adapter = live.running().await.adapter;
    let cycles = || {
        let sources = adapter.sources();
        sources.iter().find(|s| s.name == "bbs").unwrap().counts["cycles"]
    };
    let goal = cycles() + more;
    until("listings of the BBS", || cycles() >= goal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_lost_with_a_cut_stream_are_made_good() {
    let (rig, live) = world().await;
    rig.foundation.set_stream_faults(StreamFaults {
        drop: 1000,
        ..StreamFaults::default()
    });
    rig.foundation.scale("web", 5).unwrap();
    rig.foundation.crash("api", 0).unwrap();
    rig.foundation.stop_app("probe").unwrap();
    rig.foundation.clear_faults();
    rig.foundation.end_streams();
    agree(&rig, &live, "after the cut").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bbs_that_fails_over_is_followed() {
    let (rig, live) = world().await;
    for (mode, instances) in [(FailOver::Clean, 4), (FailOver::Abrupt, 3)] {
        let before = ports(&rig);
        rig.foundation.fail_over(mode).await.unwrap();
        assert!(before.is_subset(&ports(&rig)), "nothing goes meanwhile");
        rig.foundation.scale("web", instances).unwrap();
        agree(&rig, &live, "failed over").await;
    }
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bbs_that_is_out_of_reach_takes_nothing_away() {
    let (rig, live) = world().await;
    rig.foundation.set_bbs_warming(true);
    rig.foundation.end_streams();
    down(&live, "bbs", "NCP06001").await;
    let before = ports(&rig);
    rig.foundation.stop_app("web").unwrap();
    rig.apply(Command::DeleteOrg { org: "lab".into() });
    // Others are still heard.
    rig.foundation.delete_security_group("database").unwrap();
    let pay = containers_of(&rig, "pay")[0].clone();
    until("the group is gone", || !reaches(&rig, &pay, "10.20.30.40", 1521)).await;
    assert_eq!(ports(&rig), before);
    rig.foundation.set_bbs_warming(false);
    agree(&rig, &live, "back").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_answers_of_cloud_controller_change_nothing_and_are_waited_out() {
    let (rig, live) = world().await;
    for kind in [
        FaultKind::ServerError,
        FaultKind::Truncated(60),
        FaultKind::Reset,
        FaultKind::RateLimited(1),
        FaultKind::RevokeTokens,
        FaultKind::InvalidToken,
    ] {
        for path in ["/v3/security_groups", "/v3/organizations"] {
            rig.foundation.arm(Fault::once(Service::Capi, path, kind));
        }
        let written = rig.writes_during(&live, async || ()).await;
        assert_eq!(written.total(), 0, "{kind:?}: {written:?}");
    }
    agree(&rig, &live, "at last").await;
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_of_security_groups_closes_nothing_until_a_second_one_agrees() {
    let (rig, live) = world().await;
    let web = containers_of(&rig, "web")[0].clone();
    for path in ["/v3/security_groups", "/v3/organizations"] {
        rig.foundation
            .arm(Fault::once(Service::Capi, path, FaultKind::EmptyList));
    }
    let written = rig.writes_during(&live, async || ()).await;
    assert_eq!(written.total(), 0, "one empty list is not believed: {written:?}");
    assert!(reaches(&rig, &web, "198.18.0.1", 443));

    for group in ["public", "database"] {
        rig.foundation.delete_security_group(group).unwrap();
    }
    agree(&rig, &live, "all groups are really gone").await;
    assert!(!reaches(&rig, &web, "198.18.0.1", 443));
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_loses_much_waits_for_a_second_one_and_no_longer() {
    let groups: Vec<String> = (0..60)
        .map(|n| {
            format!(
                "  - {{name: g{n}, spaces: [shop/prod], rules: [{{protocol: tcp, destination: 10.9.0.{n}, ports: '80'}}]}}\n"
            )
        })
        .collect();
    let scenario = SMALL.replacen(
        "security_groups:\n",
        &format!("security_groups:\n{}", groups.concat()),
        1,
    );
    let rig = Rig::start(&scenario).await;
    let live = rig.settled().await;
    let sections = rig.managers.inventory().counts()["FirewallSection"];
    for n in 0..50 {
        rig.foundation.delete_security_group(&format!("g{n}")).unwrap();
    }
    agree(&rig, &live, "most groups are gone").await;
    let now = rig.managers.inventory().counts()["FirewallSection"];
    assert_eq!(now, sections - 50);
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_server_that_is_down_leaves_policies_in_force_and_ports_retire() {
    let (rig, live) = world().await;
    let broken = Fault::once(Service::PolicyInternal, "", FaultKind::ServerError).times(1_000_000);
    rig.foundation.arm(broken);
    down(&live, "policy-server", "NCP06020").await;
    let policy = PolicySpec {
        source: "web".into(),
        destination: "api".into(),
        protocol: "tcp".into(),
        ports: "8080".into(),
    };
    rig.foundation.remove_network_policy(&policy).unwrap();
    rig.foundation.scale("web", 1).unwrap();
    rig.foundation.scale("pay", 2).unwrap();
    ports_fit(&rig).await;
    let (web, api) = (
        containers_of(&rig, "web")[0].clone(),
        containers_of(&rig, "api")[0].clone(),
    );
    assert!(dials(&rig, &web, &api, 8080), "frozen");
    rig.foundation.clear_faults();
    agree(&rig, &live, "back").await;
    assert!(!dials(&rig, &web, &api, 8080), "withdrawn");
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_domain_freezes_retirements() {
    let (rig, live) = world().await;
    rig.apply(Command::SyncDomains { synced: false });
    rig.apply(Command::ExpireDomain {
        domain: "cf-apps".into(),
    });
    listings(&live, 2).await;
    let before = ports(&rig);
    let lost = StreamFaults {
        drop: 1000,
        ..StreamFaults::default()
    };
    // Only listings tell, and of a stale domain they tell nothing.
    rig.foundation.set_stream_faults(lost);
    rig.foundation.scale("web", 1).unwrap();
    listings(&live, 4).await;
    assert_eq!(ports(&rig), before);
    assert!(containers(&rig).len() < before.len());
    rig.foundation.clear_faults();
    rig.apply(Command::SyncDomains { synced: true });
    agree(&rig, &live, "fresh again").await;
    end(rig, live).await;
}

/// The desired record goes before the containers stop, so a controller that starts between the two can't
/// tell whose pool a container has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_starts_while_an_app_stops_keeps_the_ports_of_its_containers() {
    let (rig, live) = world().await;
    let web = containers_of(&rig, "web");
    live.stop().await.unwrap();
    rig.foundation.set_delays(Delays {
        stop: Duration::from_secs(5),
        ..Delays::default()
    });
    rig.foundation.delete_app("web").unwrap();
    let live = rig.live();
    shown(&live, "NCP06006", &web[0]).await;
    listings(&live, 3).await;
    let (stand, run) = (ports(&rig), containers(&rig));
    assert!(run.is_subset(&stand), "{run:?} run and {stand:?} stand");
    until("its containers are gone", || !containers(&rig).contains(&web[0])).await;
    agree(&rig, &live, "all known again").await;
    nothing_shown(&live).await;
    end(rig, live).await;
}
