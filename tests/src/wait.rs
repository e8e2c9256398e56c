//! Waiting for a condition.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long anything may take before a test gives up on it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until the condition holds; looks often, so that what is waited for decides how long it takes.
///
/// # Panics
/// After [`LIMIT`], with what was waited for.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(())).await;
}

/// Waits until there is a value, and returns it.
///
/// # Panics
/// After [`LIMIT`], with what was waited for.
pub async fn until_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let look = async {
        let mut ticks = interval(Duration::from_millis(2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(found) = find() {
                return found;
            }
            ticks.tick().await;
        }
    };
    match timeout(LIMIT, look).await {
        Ok(found) => found,
        Err(_) => panic!("not within {LIMIT:?}: {what}"),
    }
}

/// How long something takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = work.await;
    (done, began.elapsed())
}
