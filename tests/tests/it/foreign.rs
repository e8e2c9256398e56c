//! What is not ours, and what others do to what is ours.

use std::time::Duration;

use foundation_emulator::Command;
use ncp::wiring::Pace;
use ncp_tests::network::{assert_same, assert_sound, assert_untouched, foreign, own, shape, tag};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::rig::pace;
use ncp_tests::{Rig, Setup, until};
use nsx_manager_emulator::Credentials;
use reqwest::Method;
use serde_json::{Value, json};

/// An administrator at the managers' own API.
struct Admin {
    base: String,
    client: reqwest::Client,
}

impl Admin {
    fn of(rig: &Rig) -> Admin {
        Admin {
            base: format!("{}/api/v1", rig.managers.urls()[0]),
            client: reqwest::Client::new(),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let who = Credentials::default();
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .basic_auth(who.username, Some(who.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// A rig whose controller looks for drift all the time.
async fn watchful() -> Rig {
    Rig::with(Setup {
        pace: Pace {
            drift: Duration::from_millis(100),
            egress_hold: Duration::ZERO,
            ..pace()
        },
        ..Setup::default()
    })
    .await
}

fn id(body: &Value) -> &str {
    body["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_an_organization_takes_all_of_it_and_nothing_else() {
    let rig = watchful().await;
    let live = rig.settled().await;
    let others = foreign(&rig.managers.inventory());
    let org = rig
        .foundation
        .world()
        .orgs
        .into_iter()
        .find(|org| org.name == "shop")
        .unwrap()
        .guid;
    rig.apply(Command::DeleteOrg { org: "shop".into() });
    // An app's address lingers for a while, which is short here.
    until("all of the organization gone", || {
        !rig.managers.inventory().dump().to_string().contains(&org)
    })
    .await;
    live.settle().await;
    let inventory = rig.managers.inventory();
    assert_untouched("organization deleted", &others, &inventory);
    assert_sound("organization deleted", &inventory);
    rig.apply(Command::DeleteOrg { org: "lab".into() });
    live.settle().await;
    let inventory = rig.managers.inventory();
    assert_untouched("all organizations deleted", &others, &inventory);
    for kind in ["IpBlockSubnet", "AllocationIpAddress", "NatRule"] {
        assert_eq!(inventory.list(kind).len(), 0, "{kind}");
    }
    live.stop().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_rule_in_an_own_section_is_removed() {
    let rig = watchful().await;
    let live = rig.settled().await;
    let before = shape(&rig.managers.inventory());
    let sections = own(&rig.managers.inventory(), "FirewallSection");
    let section = sections
        .iter()
        .find(|s| tag(s, "ncp/tier") == Some("allow"))
        .unwrap();
    let rule = json!({ "display_name": "open sesame", "action": "ALLOW", "direction": "IN_OUT", "_revision": section["_revision"] });
    let path = format!("/firewall/sections/{}/rules?operation=insert_top", id(section));
    Admin::of(&rig).send(Method::POST, &path, Some(rule)).await;
    until("the rule gone", || {
        let rules = rig.managers.inventory().list("FirewallRule");
        !rules.iter().any(|rule| rule["display_name"] == "open sesame")
    })
    .await;
    live.settle().await;
    assert_same("rule removed", &before, &shape(&rig.managers.inventory()));
    assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_delete_or_change_is_put_right() {
    let rig = watchful().await;
    let live = rig.settled().await;
    let before = shape(&rig.managers.inventory());
    let admin = Admin::of(&rig);
    let inventory = rig.managers.inventory();
    let port = inventory.named("LogicalPort", "acme-web/0").unwrap();
    admin
        .send(
            Method::DELETE,
            &format!("/logical-ports/{}?detach=true", id(&port)),
            None,
        )
        .await;
    let mut switch = inventory.named("LogicalSwitch", "acme-lab-0").unwrap();
    switch["display_name"] = json!("mine now");
    admin
        .send(
            Method::PUT,
            &format!("/logical-switches/{}", id(&switch)),
            Some(switch.clone()),
        )
        .await;
    let nat = own(&inventory, "NatRule").pop().unwrap();
    let path = format!(
        "/logical-routers/{}/nat/rules/{}",
        nat["logical_router_id"].as_str().unwrap(),
        id(&nat)
    );
    admin.send(Method::DELETE, &path, None).await;
    let sections = own(&inventory, "FirewallSection");
    let section = sections
        .iter()
        .find(|s| tag(s, "ncp/tier") == Some("default"))
        .unwrap_or(&sections[0]);
    let rule = inventory.below("FirewallRule", id(section)).pop().unwrap();
    admin
        .send(
            Method::DELETE,
            &format!("/firewall/sections/{}/rules/{}", id(section), id(&rule)),
            None,
        )
        .await;
    until("as before", || {
        ncp_tests::network::differences(&before, &shape(&rig.managers.inventory())).is_empty()
    })
    .await;
    live.settle().await;
    let inventory = rig.managers.inventory();
    assert_same("put right", &before, &shape(&inventory));
    assert_sound("put right", &inventory);
    assert_verdicts(&rig);
    live.stop().await.unwrap();
    rig.stop().await;
}
