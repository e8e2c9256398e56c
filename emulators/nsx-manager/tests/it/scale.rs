//! Many objects: counted, not timed.

use nsx_manager_emulator::{LogMode, Options};

use crate::client::world_with;

#[tokio::test]
async fn thousands_of_ports_are_made_found_and_listed() {
    let world = world_with(Options {
        log: LogMode::Counts,
        ..Options::default()
    })
    .await;
    let switch = world.switch("s").await;
    for at in 0..2500_u32 {
        let mut body = world.port_body(&switch, &format!("cif-{at}"), 2, &[("n", &at.to_string())]);
        body["attachment"]["context"]["traffic_tag"] = (at % 4000).into();
        assert_eq!(world.client.post("logical-ports", body).await.status, 201);
    }
    let (mut seen, mut pages, mut path) = (0, 0, format!("logical-ports?logical_switch_id={switch}"));
    loop {
        let page = world.client.get(&path).await;
        seen += page.results().len();
        pages += 1;
        let Some(cursor) = page.body["cursor"].as_str() else {
            break;
        };
        path = format!("logical-ports?logical_switch_id={switch}&cursor={cursor}");
    }
    assert_eq!((seen, pages), (2500, 3));
    assert_eq!(
        world
            .client
            .get("logical-ports?attachment_id=cif-2222")
            .await
            .results()
            .len(),
        1
    );
    assert_eq!(
        world
            .client
            .get("search?query=tags.scope:n%20AND%20tags.tag:2222")
            .await
            .results()
            .len(),
        1
    );
    assert_eq!(world.emulator.log().counts().writes, 2501);
    assert!(world.emulator.log().entries(0).is_empty());
}
