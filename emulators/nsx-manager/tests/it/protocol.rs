//! Sessions, headers, health, versions, status codes (nsx-mp-api §5.1: E1, E2, E3, E14).

use nsx_manager_emulator::{Credentials, Emulator, Options, Tls, Version};
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, world, world_of};

#[tokio::test]
async fn a_session_needs_its_token_and_ends() {
    let world = world().await;
    let base = &world.client.base;
    let http = reqwest::Client::new();
    let form = "j_username=admin&j_password=VMware1%21VMware1%21";
    let create = |form: &'static str| {
        let request = http.post(format!("{base}/api/session/create"));
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
    };
    let made = create(form).send().await.unwrap();
    assert_eq!(made.status(), 200);
    let cookie = made.headers()["set-cookie"].to_str().unwrap().to_owned();
    let token = made.headers()["x-xsrf-token"].to_str().unwrap().to_owned();
    assert!(
        cookie.starts_with("JSESSIONID=") && cookie.contains("; Path=/"),
        "{cookie}"
    );
    assert!(made.headers().contains_key("date"));

    let session = cookie.split(';').next().unwrap();
    let read = |token: &str| {
        let request = http.get(format!("{base}/api/v1/node")).header("cookie", session);
        world.client.send(request.header("x-xsrf-token", token))
    };
    assert_eq!(read(&token).await.unwrap().status, 200);
    let wrong = read("other").await.unwrap();
    assert_eq!((wrong.status, wrong.code()), (403, 98));
    world.emulator.faults().expire_sessions();
    assert_eq!(read(&token).await.unwrap().code(), 98);

    let refused = world
        .client
        .send(create("j_username=admin&j_password=no"))
        .await
        .unwrap();
    assert_eq!((refused.status, refused.code()), (403, 403));
    let nobody = world
        .client
        .send(http.get(format!("{base}/api/v1/node")))
        .await
        .unwrap();
    assert_eq!(nobody.status, 401);
    assert!(
        !world
            .emulator
            .log()
            .entries(0)
            .iter()
            .any(|entry| entry.request.windows(6).any(|at| at == b"VMware"))
    );
}

#[tokio::test]
async fn each_release_has_its_own_health_probe() {
    for (version, own, other) in [
        (
            Version::V2_3,
            "operational/application/status",
            "reverse-proxy/node/health",
        ),
        (
            Version::V2_4,
            "reverse-proxy/node/health",
            "operational/application/status",
        ),
    ] {
        let world = world_of(version).await;
        assert_eq!(world.client.get(own).await.status, 200);
        assert_eq!(world.client.get(other).await.status, 404);
        let said = world.client.get("node/version").await.body["product_version"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(said.starts_with(&version.to_string()) && said.split('.').count() >= 3);
        assert!(
            world.client.get("transport-zones").await.body["result_count"]
                .as_u64()
                .unwrap()
                > 0
        );
        assert_eq!(
            world.client.get("cluster/status").await.body["mgmt_cluster_status"]["status"],
            "STABLE"
        );
        assert_eq!(
            world.client.get("spec/vmware/types/Tag").await.body["properties"]["scope"]["maxLength"],
            128
        );
    }
}

#[tokio::test]
async fn statuses_are_those_of_the_documents() {
    let world = world().await;
    let client = &world.client;
    let set = client.post("ip-sets", json!({ "display_name": "s" })).await;
    assert_eq!(set.status, 201);
    assert_eq!(
        client
            .put(&format!("ip-sets/{}", set.id()), set.body.clone())
            .await
            .status,
        200
    );
    assert_eq!(client.delete(&format!("ip-sets/{}", set.id())).await.status, 200);
    let gone = client.get(&format!("ip-sets/{}", set.id())).await;
    assert_eq!((gone.status, gone.code()), (404, 600));
    assert_eq!(gone.body["httpStatus"], "NOT_FOUND");
    assert_eq!(gone.body["module_name"], "common-services");
    let tagged =
        json!({ "external_id": world.made.cells[0].machine, "tags": [{ "scope": "a", "tag": "b" }] });
    assert_eq!(
        client
            .post("fabric/virtual-machines?action=update_tags", tagged)
            .await
            .status,
        204
    );
    assert_eq!(
        client
            .call(Method::PUT, "pools/ip-subnets/x", Some(json!({})))
            .await
            .status,
        405
    );
    let limits = json!({ "service_name": "http", "service_properties": { "client_api_rate_limit": 0 } });
    assert_eq!(client.put("node/services/http", limits).await.status, 202);
    assert_eq!(client.get("no/such/thing").await.status, 404);
}

#[tokio::test]
async fn a_client_certificate_is_a_login() {
    let options = Options {
        tls: Tls::On { client_auth: true },
        credentials: Credentials {
            username: "other".into(),
            password: "secret".into(),
        },
        ..Options::default()
    };
    let emulator = Emulator::start(options).await.unwrap();
    let client = emulator.issue_client("ncp").unwrap().unwrap();
    let root = reqwest::Certificate::from_pem(emulator.ca_pem().unwrap().as_bytes()).unwrap();
    let build = || reqwest::Client::builder().tls_certs_only([root.clone()]);
    let identity =
        reqwest::Identity::from_pem(format!("{}{}", client.certificate, client.key).as_bytes()).unwrap();
    let with = build().identity(identity).build().unwrap();
    let without = build().build().unwrap();
    let url = format!("{}/api/v1/node", emulator.urls()[0]);
    assert_eq!(with.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(without.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(emulator.log().entries(0)[0].user, "ncp");
    assert!(
        Client::to(&emulator.urls()[0])
            .http
            .get(&url)
            .send()
            .await
            .is_err(),
        "an unknown authority is trusted"
    );
    emulator.stop().await;
}
