//! From what Cloud Foundry says to the core's intents. Pure.
//!
//! | Cloud Foundry | intent |
//! | --- | --- |
//! | organization | project |
//! | space, and all spaces | groups of running and of staging containers |
//! | app | group |
//! | security group | policy applied to the groups it is bound to, outward |
//! | container-to-container policies of a destination | policy applied to the app's group, inward |
//! | instance, task, staging container | workload |

mod groups;
mod policies;
mod workloads;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use ncp_core::code::Code;
use ncp_core::event::{Event, Scope, ScopeKind};
use ncp_core::intent::{Defect, Fact, Origin, Project, ProjectEgress};

use crate::bbs::sync::{Output, Scope as BbsScope};
use crate::capi::{CapiUpdate, Listing, Organization, SecurityGroup};
use crate::ids::OrgGuid;
use crate::policy_server::PolicyListing;

use workloads::Workloads;

/// The scopes that this adapter lists.
pub fn scopes() -> Vec<Scope> {
    let bbs = [BbsScope::Instances, BbsScope::Tasks, BbsScope::Staging];
    let mut all: Vec<Scope> = bbs.into_iter().map(workload_scope).collect();
    all.extend([nodes(), projects(), security_groups(), app_policies()]);
    all
}

fn nodes() -> Scope {
    Scope::new("bbs", ScopeKind::Nodes, "")
}

fn projects() -> Scope {
    Scope::new("capi", ScopeKind::Projects, "")
}

fn security_groups() -> Scope {
    Scope::new("capi", ScopeKind::Policies, "security-groups")
}

fn app_policies() -> Scope {
    Scope::new("policy-server", ScopeKind::Policies, "")
}

fn workload_scope(scope: BbsScope) -> Scope {
    let domain = match scope {
        BbsScope::Instances => "cf-apps",
        BbsScope::Tasks => "cf-tasks",
        BbsScope::Staging => "cf-app-staging",
        BbsScope::Cells => return nodes(),
    };
    Scope::new("bbs", ScopeKind::Workloads, domain)
}

/// Translates, and remembers what a container was made with.
#[derive(Debug, Default)]
pub struct Mapper {
    eager: bool,
    workloads: Workloads,
}

impl Mapper {
    /// A mapper; `eager` makes every organization's network at once instead of at its first container.
    pub fn new(eager: bool) -> Mapper {
        Mapper {
            eager,
            ..Mapper::default()
        }
    }

    /// What the BBS said.
    pub fn bbs(&mut self, outputs: Vec<Output>) -> Vec<Event> {
        outputs
            .into_iter()
            .flat_map(|output| self.workloads.map(output))
            .collect()
    }

    /// What Cloud Controller said.
    pub fn capi(&mut self, update: CapiUpdate) -> Vec<Event> {
        match update {
            CapiUpdate::Organizations(listing) => {
                let facts = listing.items.iter().map(|org| self.project(org)).collect();
                capi_list(projects(), "organizations", &listing, facts)
            }
            CapiUpdate::OrganizationsChanged(orgs) => {
                let upsert = |org| Event::Upsert {
                    scope: projects(),
                    fact: self.project(org),
                };
                orgs.iter().map(upsert).collect()
            }
            CapiUpdate::SecurityGroups(listing) => {
                let facts = listing
                    .items
                    .iter()
                    .map(|group: &SecurityGroup| Fact::Policy(groups::policy(group)))
                    .collect();
                capi_list(security_groups(), "security groups", &listing, facts)
            }
            // A space is a group that policies and containers name by its guid; its name shows nowhere.
            CapiUpdate::Spaces(_) | CapiUpdate::SpacesChanged(_) => Vec::new(),
        }
    }

    /// What the policy server said.
    pub fn policy_server(&mut self, listing: &PolicyListing) -> Vec<Event> {
        let facts = policies::policies(&listing.policies)
            .into_iter()
            .map(Fact::Policy)
            .collect();
        let mut events = list(app_policies(), listing.generation, facts);
        events.push(policies::report(&listing.refused));
        events
    }

    fn project(&self, org: &Organization) -> Fact {
        Fact::Project(Project {
            id: ncp_core::id::ProjectId::new(org.guid.as_str()),
            name: org.name.as_str().into(),
            egress: ProjectEgress::Translated,
            eager: self.eager,
            origin: org_origin(&org.guid, Some(&org.name)),
        })
    }
}

/// A listing of Cloud Controller. An empty one after one that wasn't is said and not believed: the watch
/// lists again in its next round, and that listing counts whatever it says.
fn capi_list<T>(scope: Scope, what: &str, listing: &Listing<T>, facts: Vec<Fact>) -> Vec<Event> {
    let origin = origin("Cloud Controller", what, None);
    if let Some(before) = listing.emptied {
        let message = format!(
            "the list of {what} is empty and had {before} before; what it lacks stays until a second list \
             says the same"
        );
        let defects = vec![Defect {
            code: Code::PcfCapiConnectionFailed,
            message: message.into(),
        }];
        return vec![Event::Report { origin, defects }];
    }
    let mut events = list(scope, listing.generation, facts);
    events.push(Event::Report {
        origin,
        defects: Vec::new(),
    });
    events
}

fn list(scope: Scope, generation: u64, facts: Vec<Fact>) -> Vec<Event> {
    let mut events = vec![Event::Begin {
        scope: scope.clone(),
        generation,
    }];
    events.extend(facts.into_iter().map(|fact| Event::Upsert {
        scope: scope.clone(),
        fact,
    }));
    events.push(Event::End { scope, generation });
    events
}

fn origin(kind: &str, id: &str, name: Option<&str>) -> Origin {
    Origin {
        kind: kind.into(),
        id: ncp_core::id::Name::new(id),
        name: name.map(Into::into),
    }
}

fn org_origin(guid: &OrgGuid, name: Option<&str>) -> Origin {
    origin("org", guid.as_str(), name)
}
