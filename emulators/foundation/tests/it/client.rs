//! What the tests speak to the foundation with.

use std::time::Duration;

use diego_wire::bbs;
use diego_wire::event::BbsEvent;
use diego_wire::routes;
use diego_wire::sse::Decoder;
use foundation_emulator::{AppSpec, Foundation, Options};
use prost::Message;
use serde_json::Value;

/// Longest wait for anything that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn foundation() -> Foundation {
    Foundation::start(Options::default()).await.unwrap()
}

/// A foundation with the space `o/s`.
pub(crate) async fn with_space() -> Foundation {
    let foundation = foundation().await;
    foundation.create_org("o").unwrap();
    foundation.create_space("o", "s").unwrap();
    foundation
}

pub(crate) fn app(name: &str, instances: i32) -> AppSpec {
    AppSpec::new("o/s", name, instances)
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Posts a message to the first BBS address and reads the answer.
pub(crate) async fn post<R: Message + Default>(
    foundation: &Foundation,
    path: &str,
    request: &impl Message,
) -> R {
    let url = format!("{}{path}", foundation.endpoints().bbs[0]);
    let response = http()
        .post(url)
        .body(request.encode_to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], routes::PROTOBUF);
    R::decode(response.bytes().await.unwrap()).unwrap()
}

pub(crate) async fn desired(foundation: &Foundation) -> Vec<bbs::DesiredLrp> {
    let request = bbs::DesiredLrPsRequest::default();
    post::<bbs::DesiredLrPsResponse>(foundation, routes::DESIRED_LRPS, &request)
        .await
        .desired_lrps
}

pub(crate) async fn actual(foundation: &Foundation) -> Vec<bbs::ActualLrp> {
    let request = bbs::ActualLrPsRequest::default();
    post::<bbs::ActualLrPsResponse>(foundation, routes::ACTUAL_LRPS, &request)
        .await
        .actual_lrps
}

/// An open event stream.
pub(crate) struct Events {
    response: reqwest::Response,
    decoder: Decoder,
    queue: std::collections::VecDeque<(u64, BbsEvent)>,
}

impl Events {
    pub(crate) async fn open(foundation: &Foundation, path: &str) -> Self {
        Self::open_on(foundation, path, &bbs::EventsByCellId::default()).await
    }

    pub(crate) async fn open_on(foundation: &Foundation, path: &str, filter: &bbs::EventsByCellId) -> Self {
        let url = format!("{}{path}", foundation.endpoints().bbs[0]);
        let response = http()
            .post(url)
            .body(filter.encode_to_vec())
            .send()
            .await
            .unwrap();
        Self::from(response)
    }

    /// The next event with its number; `None` at the clean end of the stream.
    pub(crate) async fn next(&mut self) -> Option<(u64, BbsEvent)> {
        while self.queue.is_empty() {
            let chunk = tokio::time::timeout(DEADLINE, self.response.chunk())
                .await
                .expect("an event in time");
            for frame in self.decoder.push(&chunk.expect("no broken stream")?).unwrap() {
                let event = BbsEvent::from_frame(&frame).unwrap().expect("a known event");
                self.queue.push_back((frame.id.expect("a number"), event));
            }
        }
        self.queue.pop_front()
    }

    /// So many events, described.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for _ in 0..count {
            seen.push(describe(&self.next().await.expect("the stream goes on").1));
        }
        seen
    }

    /// Whether nothing has arrived so far.
    pub(crate) fn has_nothing(mut self) -> bool {
        use std::future::Future;
        use std::task::{Context, Poll, Waker};
        let chunk = std::pin::pin!(self.response.chunk());
        matches!(chunk.poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
    }

    /// Whether the connection breaks, instead of ending as it should.
    pub(crate) async fn breaks(mut self) -> bool {
        tokio::time::timeout(DEADLINE, self.response.chunk())
            .await
            .expect("an end in time")
            .is_err()
    }
}

impl From<reqwest::Response> for Events {
    fn from(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], routes::EVENT_STREAM);
        Self {
            response,
            decoder: Decoder::new(),
            queue: Default::default(),
        }
    }
}

fn presence(number: i32) -> &'static str {
    bbs::Presence::try_from(number).unwrap().as_str_name()
}

/// An event in a few words: what matters for the order of things.
pub(crate) fn describe(event: &BbsEvent) -> String {
    let record = |lrp: &Option<bbs::ActualLrp>| {
        let lrp = lrp.as_ref().unwrap();
        format!("{} {}", lrp.state, presence(lrp.presence))
    };
    match event {
        BbsEvent::DesiredCreated(_) | BbsEvent::DesiredChanged(_) | BbsEvent::DesiredRemoved(_) => {
            event.name().to_owned()
        }
        BbsEvent::InstanceCreated(of) => format!("created {}", record(&of.actual_lrp)),
        BbsEvent::InstanceRemoved(of) => format!("removed {}", record(&of.actual_lrp)),
        BbsEvent::InstanceChanged(of) => {
            let (before, after) = (of.before.as_ref().unwrap(), of.after.as_ref().unwrap());
            format!(
                "changed {} {} to {} {}",
                before.state,
                presence(before.presence),
                after.state,
                presence(after.presence)
            )
        }
        BbsEvent::Crashed(of) => format!("crashed {}", of.crash_count),
        BbsEvent::TaskCreated(_) | BbsEvent::TaskRemoved(_) => event.name().to_owned(),
        BbsEvent::TaskChanged(of) => {
            let state = |task: &Option<bbs::Task>| task.as_ref().unwrap().state().as_str_name();
            format!("task {} to {}", state(&of.before), state(&of.after))
        }
        other => other.name().to_owned(),
    }
}

/// A token of the controller's client.
pub(crate) async fn token(foundation: &Foundation) -> String {
    let credentials = foundation.credentials();
    let response = http()
        .post(format!("{}/oauth/token", foundation.endpoints().uaa))
        .basic_auth(credentials.client_id, Some(credentials.client_secret))
        .form(&[("grant_type", "client_credentials")])
        .send()
        .await
        .unwrap();
    let body: Value = response.json().await.unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

/// GETs a path of Cloud Controller: status and body.
pub(crate) async fn get(foundation: &Foundation, token: &str, path: &str) -> (u16, Value) {
    let url = format!("{}{path}", foundation.endpoints().capi);
    let response = http().get(url).bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) fn names(body: &Value) -> Vec<&str> {
    body["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect()
}
