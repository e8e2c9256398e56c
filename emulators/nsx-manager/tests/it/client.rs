//! A client with nothing clever in it, and a prepared emulator to talk to.

use nsx_manager_emulator::{Emulator, Fixture, Options, Prepared, Version};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> u64 {
        self.body["error_code"].as_u64().unwrap_or(0)
    }

    pub(crate) fn id(&self) -> String {
        assert!(self.status < 300, "refused: {self:?}");
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn results(&self) -> &Vec<Value> {
        self.body["results"].as_array().unwrap()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.results()
            .iter()
            .map(|one| one["display_name"].as_str().unwrap())
            .collect()
    }
}

impl Client {
    pub(crate) fn to(base: &str) -> Self {
        Client {
            http: reqwest::Client::new(),
            base: base.to_owned(),
        }
    }

    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1/{path}", self.base));
        let request = request.basic_auth("admin", Some("VMware1!VMware1!"));
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let text = answer.bytes().await?;
        Ok(Answer {
            status,
            body: serde_json::from_slice(&text).unwrap_or(Value::Null),
        })
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(self.request(method, path, body.as_ref()))
            .await
            .unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }
}

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    pub(crate) made: Prepared,
}

pub(crate) async fn world() -> World {
    world_with(Options::default()).await
}

pub(crate) async fn world_of(version: Version) -> World {
    world_with(Options {
        version,
        ..Options::default()
    })
    .await
}

pub(crate) async fn world_with(options: Options) -> World {
    let emulator = Emulator::start(options).await.unwrap();
    let made = emulator.fixture(&Fixture::default()).unwrap();
    let client = Client::to(&emulator.urls()[0]);
    World {
        emulator,
        client,
        made,
    }
}

pub(crate) fn tags(pairs: &[(&str, &str)]) -> Value {
    Value::Array(
        pairs
            .iter()
            .map(|(scope, tag)| json!({ "scope": scope, "tag": tag }))
            .collect(),
    )
}

impl World {
    pub(crate) fn switch_body(&self, name: &str) -> Value {
        json!({
            "display_name": name, "transport_zone_id": self.made.transport_zone, "admin_state": "UP",
            "replication_mode": "MTEP", "tags": tags(&[("ncp/cluster", "c1")]),
        })
    }

    pub(crate) async fn switch(&self, name: &str) -> String {
        self.client
            .post("logical-switches", self.switch_body(name))
            .await
            .id()
    }

    /// A container's port below the first cell, with an address and spoof guard.
    pub(crate) fn port_body(&self, switch: &str, name: &str, number: u8, pairs: &[(&str, &str)]) -> Value {
        json!({
            "resource_type": "LogicalPort", "logical_switch_id": switch, "admin_state": "UP", "display_name": name,
            "attachment": { "attachment_type": "VIF", "id": name, "context": {
                "resource_type": "VifAttachmentContext", "vif_type": "CHILD", "app_id": name,
                "parent_vif_id": self.made.cells[0].vif, "traffic_tag": number } },
            "address_bindings": [{ "ip_address": format!("10.16.0.{number}"),
                "mac_address": format!("02:50:56:00:00:{number:02x}") }],
            "switching_profile_ids": [{ "key": "SpoofGuardSwitchingProfile", "value": self.made.spoof_guard }],
            "tags": tags(pairs),
        })
    }

    pub(crate) async fn port(&self, switch: &str, name: &str, number: u8, pairs: &[(&str, &str)]) -> String {
        self.client
            .post("logical-ports", self.port_body(switch, name, number, pairs))
            .await
            .id()
    }

    pub(crate) async fn router(&self, name: &str) -> String {
        let body = json!({ "resource_type": "LogicalRouter", "display_name": name, "router_type": "TIER1" });
        self.client.post("logical-routers", body).await.id()
    }

    /// Ids of the ports at both ends of a link between a tier-1 router and the tier-0 router.
    pub(crate) async fn link(&self, tier1: &str) -> (String, String) {
        let upper =
            json!({ "resource_type": "LogicalRouterLinkPortOnTIER0", "logical_router_id": self.made.tier0 });
        let upper = self.client.post("logical-router-ports", upper).await.id();
        let lower = json!({
            "resource_type": "LogicalRouterLinkPortOnTIER1", "logical_router_id": tier1,
            "linked_logical_router_port_id": { "target_id": upper, "target_type": "LogicalRouterLinkPortOnTIER0" },
        });
        (upper, self.client.post("logical-router-ports", lower).await.id())
    }

    /// Ids of a switch port and of the router port that leads to it.
    pub(crate) async fn downlink(&self, tier1: &str, switch: &str) -> (String, String) {
        let far = json!({ "logical_switch_id": switch, "admin_state": "UP" });
        let far = self.client.post("logical-ports", far).await.id();
        let body = json!({
            "resource_type": "LogicalRouterDownLinkPort", "logical_router_id": tier1,
            "linked_logical_switch_port_id": { "target_id": far, "target_type": "LogicalPort" },
            "subnets": [{ "ip_addresses": ["10.16.0.1"], "prefix_length": 24 }],
        });
        (far, self.client.post("logical-router-ports", body).await.id())
    }

    pub(crate) async fn group(&self, name: &str, pairs: &[(&str, &str)]) -> String {
        let criteria: Vec<Value> = pairs
            .iter()
            .map(|(scope, tag)| {
                json!({ "resource_type": "NSGroupTagExpression", "target_type": "LogicalPort", "scope": scope, "tag": tag })
            })
            .collect();
        self.client
            .post(
                "ns-groups",
                json!({ "display_name": name, "membership_criteria": criteria }),
            )
            .await
            .id()
    }
}
