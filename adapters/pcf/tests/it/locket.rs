use std::sync::Arc;
use std::time::Duration;

use foundation_emulator::{Command, Foundation, LocketFaults, Options};
use ncp_pcf::locket::{
    Contender, Fence, HolderView, LeaseTimings, LockClaim, LocketClient, LocketOptions, Locks, Outcome,
    TokioClock,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, address, tls};

const LIMIT: Duration = Duration::from_secs(5);
const TTL: Duration = Duration::from_secs(15);

fn client(foundation: &Foundation, before: &[&str]) -> LocketClient {
    let locket = address(&foundation.endpoints().locket);
    let addresses = before.iter().map(ToString::to_string).chain([locket]).collect();
    LocketClient::new(&LocketOptions {
        addresses,
        server_name: "locket.service.cf.internal".into(),
        tls: tls(foundation),
    })
    .unwrap()
}

fn claim(owner: &str) -> LockClaim {
    LockClaim {
        key: "ncp".into(),
        owner: owner.into(),
        value: "1".into(),
    }
}

async fn secure() -> Foundation {
    Foundation::start(Options {
        tls: true,
        ..Options::default()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn the_lock_is_taken_refused_read_and_given_back() {
    let foundation = secure().await;
    let locket = client(&foundation, &[]);
    assert_eq!(locket.fetch("ncp", LIMIT).await.unwrap(), None);
    assert_eq!(
        locket.lock(&claim("a"), TTL, LIMIT).await.unwrap(),
        Outcome::Granted
    );
    assert_eq!(
        locket.lock(&claim("a"), TTL, LIMIT).await.unwrap(),
        Outcome::Granted
    );
    assert_eq!(
        locket.lock(&claim("b"), TTL, LIMIT).await.unwrap(),
        Outcome::Taken
    );
    assert_eq!(locket.fetch("ncp", LIMIT).await.unwrap().unwrap().owner, "a");
    locket.release(&claim("b"), LIMIT).await.unwrap();
    assert_eq!(
        locket.lock(&claim("b"), TTL, LIMIT).await.unwrap(),
        Outcome::Taken
    );
    locket.release(&claim("a"), LIMIT).await.unwrap();
    locket.release(&claim("a"), LIMIT).await.unwrap();
    assert_eq!(
        locket.lock(&claim("b"), TTL, LIMIT).await.unwrap(),
        Outcome::Granted
    );
}

#[tokio::test]
async fn an_instance_that_is_down_is_passed_over() {
    let foundation = secure().await;
    // Nothing listens on the discard port of the loopback interface.
    let locket = client(&foundation, &["127.0.0.1:9"]);
    assert_eq!(
        locket.lock(&claim("a"), TTL, LIMIT).await.unwrap(),
        Outcome::Granted
    );
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_asking_again_is_harmless() {
    let foundation = Foundation::start(Options::default()).await.unwrap();
    let locket = client(&foundation, &[]);
    foundation.set_locket_faults(LocketFaults {
        lose_answers: 1,
        ..Default::default()
    });
    assert!(
        locket
            .lock(&claim("a"), TTL, Duration::from_millis(200))
            .await
            .is_err()
    );
    assert_eq!(
        locket.lock(&claim("b"), TTL, LIMIT).await.unwrap(),
        Outcome::Taken,
        "it was applied"
    );
    assert_eq!(
        locket.lock(&claim("a"), TTL, LIMIT).await.unwrap(),
        Outcome::Granted
    );
}

struct One {
    leadership: watch::Receiver<Option<Fence>>,
    holder: HolderView,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn contend(foundation: &Foundation, owner: &str) -> One {
    let timings = LeaseTimings {
        ttl: Duration::from_secs(3),
        period: Duration::from_millis(200),
        timeout: Duration::from_millis(500),
        margin: Duration::from_millis(200),
    };
    let clock = Arc::new(TokioClock::default());
    let contender = Contender::new(
        client(foundation, &[]),
        "ncp".into(),
        owner.into(),
        timings,
        clock,
    );
    let (sender, leadership) = watch::channel(None);
    let (holder, stop) = (contender.holder(), CancellationToken::new());
    let task = tokio::spawn(contender.run(sender, stop.clone()));
    One {
        leadership,
        holder,
        stop,
        task,
    }
}

impl One {
    async fn leads(&mut self) -> Fence {
        let led = tokio::time::timeout(PATIENCE, self.leadership.wait_for(Option::is_some)).await;
        led.expect("leads in time").unwrap().unwrap()
    }

    async fn follows(&mut self) {
        let lost = tokio::time::timeout(PATIENCE, self.leadership.wait_for(Option::is_none)).await;
        lost.expect("follows in time").unwrap();
    }
}

#[tokio::test]
async fn leadership_passes_on_when_it_is_given_back_lost_or_seized() {
    let foundation = secure().await;
    let mut first = contend(&foundation, "first");
    let one = first.leads().await;
    let mut second = contend(&foundation, "second");
    first.stop.cancel();
    first.task.await.unwrap();
    let two = second.leads().await;
    assert!(two.epoch > one.epoch);
    assert_eq!(second.holder.get().unwrap().owner, "second");

    foundation.set_locket_faults(LocketFaults {
        down: true,
        ..Default::default()
    });
    second.follows().await;
    foundation.clear_faults();
    let three = second.leads().await;
    assert!(three.epoch > two.epoch, "a leadership that lapsed is a new one");

    let seize = Command::SeizeLock {
        key: "ncp".into(),
        owner: "somebody".into(),
        ttl: 1,
    };
    foundation.apply(seize).unwrap();
    second.follows().await;
    assert!(second.leads().await.epoch > three.epoch, "again, when it expired");
}
