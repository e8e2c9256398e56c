//! The BBS: protobuf over HTTP/1.1, lists and event streams.
//!
//! Source: `routes.go`, `handlers/` and `cmd/bbs/main.go` of `bbs`.

mod lists;
pub(crate) mod pool;
mod streams;

use std::io;
use std::sync::atomic::Ordering;

use diego_wire::routes;
use http::Method;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::http1::{self, Connection};
use crate::options::Age;
use crate::serve::{Site, Wire, respond};
use crate::shared::Shared;
use crate::web::{Reply, Request};

/// Serves one connection until the client is done, or until `drain` while nothing is under way.
pub(crate) async fn serve(site: &Site, stream: Box<dyn Wire>, drain: &CancellationToken) {
    let mut connection = BufReader::new(stream);
    if let Err(error) = requests(site, &mut connection, drain).await {
        tracing::debug!(%error, "a BBS connection ended early");
    }
}

async fn requests(site: &Site, connection: &mut Connection, drain: &CancellationToken) -> io::Result<()> {
    loop {
        let request = tokio::select! {
            () = drain.cancelled() => None,
            request = http1::read(connection) => request?,
        };
        let Some(request) = request else { break };
        if let Some(stream) = streams::open(site, &request) {
            return streams::run(site, connection, stream).await;
        }
        let keep = http1::keeps_alive(&request);
        if !respond(site, connection, request).await? || !keep {
            break;
        }
    }
    connection.get_mut().shutdown().await
}

/// Answers everything that is not an event stream.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    if shared.warming.load(Ordering::Relaxed) {
        return Reply::empty(503);
    }
    let mut world = shared.world();
    if !is_served(&request.path, world.age) {
        return Reply::text(404, "404 page not found\n");
    }
    let stream = streams::kind(&request.path);
    let allowed = stream.map_or(Method::POST, streams::Kind::method);
    if request.method != allowed {
        return Reply::text(405, "Method Not Allowed\n").header("Allow", allowed.to_string());
    }
    match stream {
        // A stream that could not be opened.
        Some(_) => Reply::empty(500),
        None => lists::answer(&mut world, request),
    }
}

/// Whether a platform of this age has the path.
fn is_served(path: &str, age: Age) -> bool {
    let always = [
        routes::PING,
        routes::DOMAINS,
        routes::UPSERT_DOMAIN,
        routes::DESIRED_LRPS_R2,
        routes::DESIRED_LRP_R2,
        routes::SCHEDULING_INFOS,
        routes::TASKS_R2,
        routes::TASK_R2,
        routes::CELLS,
        routes::TASK_EVENTS_R0,
        routes::GROUP_EVENTS,
        routes::GROUP_EVENTS_R0,
        routes::ACTUAL_LRP_GROUPS,
        routes::ACTUAL_LRP_GROUPS_BY_PROCESS_GUID,
        routes::ACTUAL_LRP_GROUP,
    ];
    let since_2019 = [
        routes::DESIRED_LRPS,
        routes::DESIRED_LRP,
        routes::ACTUAL_LRPS,
        routes::TASKS,
        routes::TASK,
        routes::LRP_INSTANCE_EVENTS,
        routes::LRP_INSTANCE_EVENTS_R0,
        routes::TASK_EVENTS,
    ];
    let newest = [
        routes::SCHEDULING_INFO,
        routes::ROUTING_INFOS,
        routes::ACTUAL_LRPS_BY_PROCESS_GUIDS,
    ];
    always.contains(&path)
        || (age != Age::Older && since_2019.contains(&path))
        || (age.is_newest() && newest.contains(&path))
}
