//! What several scenarios do to the foundation, and what an undisturbed run of it comes to.

use foundation_emulator::{AppSpec, Phase, PolicySpec};
use ncp_tests::network::{assert_sound, shape};
use ncp_tests::oracle::assert_verdicts;
use ncp_tests::rig::SMALL;
use ncp_tests::{Live, Rig};
use serde_json::Value;

/// A scenario: what stands before, and what is done then.
#[derive(Clone, Copy)]
pub(crate) struct Story {
    /// A controller has settled before.
    pub(crate) settled: bool,
    /// What is done to the foundation.
    pub(crate) change: fn(&Rig),
}

/// Everything from nothing: two organizations, an app with addresses of its own, security groups with
/// bindings, a policy.
pub(crate) const BEGIN: Story = Story {
    settled: false,
    change: |_| {},
};

/// A little of everything over a network that stands.
pub(crate) const CHANGE: Story = Story {
    settled: true,
    change: everything,
};

/// First workload of an organization, a pool of its own, a binding, policies, scaling down, an edited group.
pub(crate) fn everything(rig: &Rig) {
    let foundation = &rig.foundation;
    foundation.create_org("late").unwrap();
    foundation.create_space("late", "dev").unwrap();
    let own = AppSpec::new("late/dev", "own", 1).env("NCP_SNAT_POOL", "own-pool");
    foundation.push(&own).unwrap();
    let bind = |space: &str| foundation.bind_security_group("database", space, Phase::Running);
    bind("late/dev").unwrap();
    foundation
        .unbind_security_group("database", "shop/prod", Phase::Running)
        .unwrap();
    let policy = |source: &str, destination: &str, ports: &str| PolicySpec {
        source: source.into(),
        destination: destination.into(),
        protocol: "tcp".into(),
        ports: ports.into(),
    };
    foundation
        .add_network_policy(&policy("own", "web", "9000"))
        .unwrap();
    foundation
        .add_network_policy(&policy("web", "api", "9000"))
        .unwrap();
    foundation
        .remove_network_policy(&policy("web", "api", "8080"))
        .unwrap();
    foundation.scale("web", 1).unwrap();
    foundation.scale("pay", 0).unwrap();
}

/// What an undisturbed run comes to.
pub(crate) struct Undisturbed {
    pub(crate) shape: Value,
    pub(crate) requests: u64,
    pub(crate) writes: u64,
}

impl Story {
    /// Starts it up to where the change is due.
    pub(crate) async fn begin(self) -> (Rig, Option<Live>) {
        let rig = Rig::start(SMALL).await;
        let live = match self.settled {
            true => Some(rig.settled().await),
            false => None,
        };
        (rig, live)
    }

    /// Runs it with nothing in its way.
    pub(crate) async fn undisturbed(self) -> Undisturbed {
        let (rig, live) = self.begin().await;
        let before = rig.managers.log().counts();
        (self.change)(&rig);
        let live = live.unwrap_or_else(|| rig.live());
        live.settle().await;
        let (after, inventory) = (rig.managers.log().counts(), rig.managers.inventory());
        assert_sound("undisturbed", &inventory);
        assert_verdicts(&rig);
        live.stop().await.unwrap();
        rig.stop().await;
        Undisturbed {
            shape: shape(&inventory),
            requests: after.total - before.total,
            writes: after.writes - before.writes,
        }
    }
}
