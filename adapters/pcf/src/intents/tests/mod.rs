//! What each of the platform's objects means, seen in an index that was told all of it.

mod app_policies;
mod egress;
mod projects;
mod security_groups;
mod trust;
mod workloads;

use std::sync::Arc;

use ncp_core::event::{Event, ScopeKind};
use ncp_core::id::{GroupId, Name, PolicyId, WorkloadId};
use ncp_core::index::{Index, ScopeStatus};
use ncp_core::intent::{Defect, Policy, Workload};
use ncp_core::settings::Settings;
use ncp_core::time::Time;

use super::{Mapper, scopes};
use crate::bbs::record::{Cell, Container, Facts, Kind, Names, Presence, SnatPool};
use crate::bbs::sync::{Output, Scope};
use crate::capi::{CapiUpdate, Listing, Organization, SecurityGroup};
use crate::grammar::parse_rules;
use crate::ids::AppGuid;
use crate::policy_server::{AppPolicy, PolicyListing, PolicyProtocol};

/// A mapper and what an engine's index holds of what it said.
struct Platform {
    mapper: Mapper,
    index: Index,
    settings: Settings,
    now: Time,
    generation: u64,
}

impl Platform {
    fn new() -> Platform {
        Platform {
            mapper: Mapper::new(false),
            index: Index::new(true),
            settings: Settings {
                scopes: scopes(),
                ..Settings::default()
            },
            now: Time(1),
            generation: 0,
        }
    }

    /// Forgets what it remembers, as a controller that starts anew.
    fn restart(&mut self) {
        self.mapper = Mapper::new(false);
    }

    fn feed(&mut self, events: Vec<Event>) {
        let mut dirty = Vec::new();
        for event in events {
            self.index.feed(event, self.now, &self.settings, &mut dirty);
        }
    }

    fn bbs(&mut self, outputs: Vec<Output>) {
        let events = self.mapper.bbs(outputs);
        self.feed(events);
    }

    fn capi(&mut self, update: CapiUpdate) {
        let events = self.mapper.capi(update);
        self.feed(events);
    }

    fn upsert(&mut self, container: &Container) {
        self.bbs(vec![Output::Upsert(container.clone())]);
    }

    /// A listing of these; two in a row count as that far apart that a departed container is gone.
    fn list(&mut self, scope: Scope, containers: &[Container], complete: bool) {
        self.now = self.now + self.settings.departure.apart;
        self.generation += 1;
        let mut outputs = vec![Output::Begin(scope, self.generation)];
        outputs.extend(containers.iter().cloned().map(Output::Upsert));
        outputs.push(Output::End {
            scope,
            generation: self.generation,
            complete,
        });
        self.bbs(outputs);
    }

    fn organizations(&mut self, orgs: &[(&str, &str)]) {
        self.generation += 1;
        let items = orgs.iter().map(|(guid, name)| org(guid, name)).collect();
        self.capi(CapiUpdate::Organizations(Listing {
            generation: self.generation,
            items,
            emptied: None,
        }));
    }

    fn security_groups(&mut self, groups: &[SecurityGroup]) {
        self.generation += 1;
        self.capi(CapiUpdate::SecurityGroups(Listing {
            generation: self.generation,
            items: groups.to_vec(),
            emptied: None,
        }));
    }

    fn policies(&mut self, policies: &[AppPolicy]) {
        self.generation += 1;
        let listing = PolicyListing {
            generation: self.generation,
            policies: policies.to_vec(),
            ..PolicyListing::default()
        };
        let events = self.mapper.policy_server(&listing);
        self.feed(events);
    }

    fn workload(&self, handle: &str) -> &Workload {
        self.index.workload(&WorkloadId::new(handle)).unwrap()
    }

    fn has(&self, handle: &str) -> bool {
        self.index.workload(&WorkloadId::new(handle)).is_some()
    }

    fn groups(&self, handle: &str) -> Vec<String> {
        let groups = self.workload(handle).groups.iter();
        groups.map(ToString::to_string).collect()
    }

    fn policy(&self, id: &str) -> &Policy {
        &self.index.policy(&PolicyId::new(id)).unwrap().policy
    }

    fn trusts(&self, kind: ScopeKind) -> bool {
        self.index.trusted(&self.settings.scopes, kind).is_ok()
    }

    fn scope(&self, name: &str) -> ScopeStatus {
        let mut all = self.index.scope_status().into_iter();
        all.find(|s| s.scope == name).unwrap()
    }

    /// What was reported about the object of this id.
    fn reported(&self, id: &str) -> Vec<Defect> {
        let of = self.index.reports().filter(|(o, _)| o.id == Name::new(id));
        of.flat_map(|(_, defects)| defects.to_vec()).collect()
    }
}

fn org(guid: &str, name: &str) -> Organization {
    Organization {
        guid: guid.into(),
        name: name.to_owned(),
    }
}

/// A security group named as its guid, bound to nothing.
fn group(guid: &str, rules: serde_json::Value) -> SecurityGroup {
    SecurityGroup {
        guid: guid.into(),
        name: guid.to_owned(),
        rules: parse_rules(&rules),
        running_default: false,
        staging_default: false,
        running_spaces: Vec::new(),
        staging_spaces: Vec::new(),
    }
}

fn facts(snat: SnatPool) -> Facts {
    let app = AppGuid::from("app");
    Facts {
        policy_group: Some(app.clone()),
        app: Some(app),
        space: "space".into(),
        org: "org".into(),
        names: Names {
            app: Some("shop".into()),
            space: Some("production".into()),
            org: Some("retail".into()),
        },
        snat,
        ports: vec![8080],
        log_guid: "app".into(),
    }
}

fn container(kind: Kind, handle: &str, facts: Option<Facts>) -> Container {
    Container {
        handle: handle.into(),
        kind,
        cell: "cell-1".into(),
        process: (kind == Kind::App).then(|| ("process".into(), 0)),
        presence: Presence::Ordinary,
        running: true,
        since: 1,
        facts: facts.map(Arc::new),
    }
}

/// An instance of the app without a pool of its own.
fn instance(handle: &str) -> Container {
    container(Kind::App, handle, Some(facts(SnatPool::Unset)))
}

fn pool(name: &str) -> SnatPool {
    SnatPool::Named(name.into())
}

fn allow(source: &str, destination: &str, port: u16) -> AppPolicy {
    AppPolicy {
        source: source.into(),
        destination: destination.into(),
        protocol: PolicyProtocol::Tcp,
        first_port: port,
        last_port: port,
    }
}

fn cell(id: &str) -> Output {
    Output::Cell(Cell {
        id: id.into(),
        rep_address: "10.0.16.4:1801".to_owned(),
        zone: "z1".to_owned(),
    })
}

fn group_id(text: &str) -> GroupId {
    GroupId::new(text)
}
