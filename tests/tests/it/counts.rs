//! How many writes a change costs on the manager API.

use ncp_tests::Rig;
use ncp_tests::rig::SMALL;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scratch() {
    let rig = Rig::start(SMALL).await;
    let live = rig.settled().await;
    println!("{:#?}", rig.written_since(0));
    println!("{}", serde_json::to_string_pretty(&rig.managers.inventory().canonical()).unwrap());
    live.stop().await.unwrap();
    rig.stop().await;
}
