//! Names of states, domains and properties, and conversions between the forms of an instance.
//!
//! Domains and network properties are Cloud Controller's (`lib/cloud_controller/diego` in
//! `cloud_controller_ng`); states are the BBS's.

use crate::bbs::{Action, ActualLrp, ActualLrpInfo, ActualLrpInstanceKey, ActualLrpKey, RunAction, action};

/// Domain of application instances.
pub const DOMAIN_APPS: &str = "cf-apps";
/// Domain of application tasks.
pub const DOMAIN_TASKS: &str = "cf-tasks";
/// Domain of staging tasks; never declared complete by Cloud Controller.
pub const DOMAIN_STAGING: &str = "cf-app-staging";

/// Instance that waits for a cell.
pub const UNCLAIMED: &str = "UNCLAIMED";
/// Instance whose container is being made.
pub const CLAIMED: &str = "CLAIMED";
/// Instance that passed its health check.
pub const RUNNING: &str = "RUNNING";
/// Instance that waits to be restarted.
pub const CRASHED: &str = "CRASHED";

/// Network property: app guid.
pub const APP_ID: &str = "app_id";
/// Network property: the guid policies are about, the app's.
pub const POLICY_GROUP_ID: &str = "policy_group_id";
/// Network property: space guid.
pub const SPACE_ID: &str = "space_id";
/// Network property: organization guid.
pub const ORG_ID: &str = "org_id";
/// Network property: open ports, comma-joined.
pub const PORTS: &str = "ports";
/// Network property: `app`, `task` or `staging`; absent before 2019.
pub const CONTAINER_WORKLOAD: &str = "container_workload";

/// Path of the program that launches a buildpack or Docker app; its environment is the app's.
pub const LAUNCHER_PATH: &str = "/tmp/lifecycle/launcher";
/// Path of the program that stages a buildpack app.
pub const BUILDER_PATH: &str = "/tmp/lifecycle/builder";

impl Action {
    /// All programs of the tree, in the order they are written.
    ///
    /// Where a program sits depends on workload kind and platform age, so readers walk the tree.
    pub fn run_actions(&self) -> Vec<&RunAction> {
        let mut found = Vec::new();
        collect(self, &mut found);
        found
    }
}

fn collect<'a>(action: &'a Action, found: &mut Vec<&'a RunAction>) {
    use action::Step;
    let children = |actions: &'a [Action], found: &mut Vec<&'a RunAction>| {
        actions.iter().for_each(|child| collect(child, found));
    };
    match &action.step {
        Some(Step::RunAction(run)) => found.push(run),
        Some(Step::TimeoutAction(of)) => {
            children(of.action.as_deref().map_or(&[], std::slice::from_ref), found)
        }
        Some(Step::EmitProgressAction(of)) => {
            children(of.action.as_deref().map_or(&[], std::slice::from_ref), found);
        }
        Some(Step::TryAction(of)) => children(of.action.as_deref().map_or(&[], std::slice::from_ref), found),
        Some(Step::ParallelAction(of)) => children(&of.actions, found),
        Some(Step::SerialAction(of)) => children(&of.actions, found),
        Some(Step::CodependentAction(of)) => children(&of.actions, found),
        Some(Step::DownloadAction(_) | Step::UploadAction(_)) | None => {}
    }
}

impl From<action::Step> for Action {
    fn from(step: action::Step) -> Self {
        Self { step: Some(step) }
    }
}

impl ActualLrp {
    /// The part of the record that change events carry.
    pub fn info(&self) -> ActualLrpInfo {
        ActualLrpInfo {
            actual_lrp_net_info: Some(self.actual_lrp_net_info.clone().unwrap_or_default()),
            crash_count: self.crash_count,
            crash_reason: self.crash_reason.clone(),
            state: self.state.clone(),
            placement_error: self.placement_error.clone(),
            since: self.since,
            modification_tag: Some(self.modification_tag.clone().unwrap_or_default()),
            presence: self.presence,
            routable: self.routable,
            availability_zone: self.availability_zone.clone(),
        }
    }

    /// Takes over what a change event says. Internal routes and metric tags are not in events and stay.
    pub fn apply(&mut self, key: ActualLrpKey, instance: ActualLrpInstanceKey, info: ActualLrpInfo) {
        self.actual_lrp_key = Some(key);
        self.actual_lrp_instance_key = Some(instance);
        self.actual_lrp_net_info = info.actual_lrp_net_info;
        self.crash_count = info.crash_count;
        self.crash_reason = info.crash_reason;
        self.state = info.state;
        self.placement_error = info.placement_error;
        self.since = info.since;
        self.modification_tag = info.modification_tag;
        self.presence = info.presence;
        self.routable = info.routable;
        self.availability_zone = info.availability_zone;
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::bbs::{CodependentAction, SerialAction, TimeoutAction};

    fn run(path: &str) -> Action {
        action::Step::RunAction(RunAction {
            path: path.into(),
            ..Default::default()
        })
        .into()
    }

    #[test]
    fn programs_are_found_at_any_depth() {
        let serial = action::Step::SerialAction(SerialAction {
            actions: vec![run("b"), run("c")],
            ..Default::default()
        });
        let timeout = action::Step::TimeoutAction(Box::new(TimeoutAction {
            action: Some(Box::new(serial.into())),
            ..Default::default()
        }));
        let tree: Action = action::Step::CodependentAction(CodependentAction {
            actions: vec![run("a"), timeout.into(), Action::default()],
            ..Default::default()
        })
        .into();
        let paths: Vec<_> = tree.run_actions().iter().map(|run| run.path.as_str()).collect();
        assert_eq!(paths, ["a", "b", "c"]);
    }

    #[test]
    fn an_instance_survives_its_own_change_event() {
        let mut lrp = ActualLrp {
            state: RUNNING.into(),
            crash_count: 2,
            metric_tags: [("app_id".to_owned(), "a".to_owned())].into(),
            routable: Some(true),
            actual_lrp_net_info: Some(Default::default()),
            modification_tag: Some(Default::default()),
            ..Default::default()
        };
        let before = lrp.clone();
        lrp.apply(Default::default(), Default::default(), before.info());
        assert_eq!(lrp.info(), before.info());
        assert_eq!(lrp.metric_tags, before.metric_tags);
    }
}
