//! Pools that apps name in `NCP_SNAT_POOL` (R-SNAT-30 and following), good and bad.

use std::net::IpAddr;

use foundation_emulator::AppSpec;
use ncp_tests::network::assert_sound;
use ncp_tests::rig::{OWN_POOL, SMALL};
use ncp_tests::{Live, Rig, Setup};

use crate::platform::{
    agree, containers_of, end, make_pool, nothing_shown, ports_fit, reaches, seen_as, shown,
};

async fn world() -> (Rig, Live) {
    let rig = Rig::start(SMALL).await;
    let live = rig.settled().await;
    (rig, live)
}

fn push(rig: &Rig, app: &str, pool: &str) {
    let mut spec = AppSpec::new("shop/prod", app, 1);
    spec.env.insert("NCP_SNAT_POOL".into(), pool.into());
    rig.foundation.push(&spec).unwrap();
}

fn only(rig: &Rig, app: &str) -> String {
    let all = containers_of(rig, app);
    assert_eq!(all.len(), 1, "{app}");
    all[0].clone()
}

fn is_from(address: Option<IpAddr>, network: &str) -> bool {
    address.is_some_and(|a| a.to_string().starts_with(network))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_pool_is_shown_by_its_code_and_holds_back_its_app_alone() {
    let (rig, live) = world().await;
    make_pool(&rig, "twin", "203.0.114", None).await;
    make_pool(&rig, "twin", "203.0.115", None).await;
    make_pool(&rig, "theirs", "203.0.116", Some("cluster:other")).await;
    let bad = [
        ("lost", "nowhere", "NCP00069"),
        ("torn", "twin", "NCP00088"),
        ("barred", "theirs", "NCP00096"),
    ];
    for (app, pool, _) in bad {
        push(&rig, app, pool);
    }
    push(&rig, "fine", OWN_POOL);
    for (app, pool, code) in bad {
        let condition = shown(&live, code, app).await;
        assert!(condition.message.contains(pool), "{}", condition.message);
    }
    ports_fit(&rig).await;
    let fine = only(&rig, "fine");
    ncp_tests::until("the good one is translated", || {
        is_from(seen_as(&rig, &fine), "203.0.113.")
    })
    .await;
    for (app, _, _) in bad {
        let container = only(&rig, app);
        assert!(
            !reaches(&rig, &container, "198.18.0.1", 443),
            "{app} does not leave by another address"
        );
    }
    let web = containers_of(&rig, "web")[0].clone();
    assert!(reaches(&rig, &web, "198.18.0.1", 443));
    assert!(reaches(&rig, &fine, "198.18.0.1", 443));
    end(rig, live).await;
}

/// L-11: the pool need not exist first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_appears_later_is_used_without_anyones_doing() {
    let (rig, live) = world().await;
    push(&rig, "early", "later-pool");
    shown(&live, "NCP00069", "early").await;
    let early = only(&rig, "early");
    make_pool(&rig, "later-pool", "203.0.117", None).await;
    ncp_tests::until("its own address", || is_from(seen_as(&rig, &early), "203.0.117.")).await;
    nothing_shown(&live).await;
    agree(&rig, &live, "recovered").await;
    assert!(reaches(&rig, &early, "198.18.0.1", 443));
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_value_acts_at_the_next_start_and_not_before() {
    let (rig, live) = world().await;
    make_pool(&rig, "second-pool", "203.0.118", None).await;
    let old = only(&rig, "pay");
    let address = seen_as(&rig, &old);
    assert!(is_from(address, "203.0.113."));
    let set = || {
        let value = Some("second-pool");
        rig.foundation.set_env("pay", "NCP_SNAT_POOL", value).unwrap();
    };
    let written = rig.writes_during(&live, async || set()).await;
    assert_eq!(
        written.total(),
        0,
        "an environment is fixed per start: {written:?}"
    );
    assert_eq!(seen_as(&rig, &old), address);

    // A rolling restart: the old container runs until the new one does.
    rig.foundation.set_delays(foundation_emulator::Delays {
        stop: std::time::Duration::from_secs(3600),
        ..foundation_emulator::Delays::default()
    });
    rig.foundation.deploy("pay").unwrap();
    let both = || containers_of(&rig, "pay");
    ports_fit(&rig).await;
    live.settle().await;
    let new = both().into_iter().find(|c| *c != old).expect("a new container");
    assert!(is_from(seen_as(&rig, &new), "203.0.118."));
    assert_eq!(
        seen_as(&rig, &old),
        address,
        "the old one keeps its address meanwhile"
    );
    assert_sound("both", &rig.managers.inventory());
    end(rig, live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_holds_back_newcomers_and_names_them() {
    let rig = Rig::with(Setup {
        cf: "snat_max_per_pool = 2\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let live = rig.settled().await;
    push(&rig, "second", OWN_POOL);
    live.settle().await;
    push(&rig, "third", OWN_POOL);
    let condition = shown(&live, "NCP00092", "third").await;
    assert!(condition.message.contains("the cap"), "{}", condition.message);
    live.settle().await;
    let (second, third) = (only(&rig, "second"), only(&rig, "third"));
    assert!(is_from(seen_as(&rig, &second), "203.0.113."));
    assert!(reaches(&rig, &second, "198.18.0.1", 443));
    assert!(
        !reaches(&rig, &third, "198.18.0.1", 443),
        "held back like one with a bad pool"
    );
    end(rig, live).await;
}
