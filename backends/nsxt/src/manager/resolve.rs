//! References: which rows a body refers to, and the body with NSX's ids in their place.

use ncp_core::dialect::{Needs, Ref, Resolve};
use ncp_core::net::Service;

use super::body::{Apart, Body, PeerSet, RuleBody, Target, Translated};
use super::dialect::Manager;
use super::part::{Handle, Part};
use super::render::{Key, Wanted};

/// Calls `see` with every reference of a body.
pub(super) fn each_ref<R>(body: &Body<R>, see: &mut impl FnMut(&R, Needs)) {
    match body {
        Body::LinkTier1 { router, peer, .. } => {
            see(router, Needs::Handle);
            see(peer, Needs::Handle);
        }
        Body::Advertisement { router } => see(router, Needs::Handle),
        Body::GatewayPort { switch, .. } => see(switch, Needs::Handle),
        Body::Downlink {
            router, port, subnet, ..
        } => {
            see(router, Needs::Handle);
            see(port, Needs::Handle);
            see(subnet, Needs::Handle);
        }
        Body::Port {
            switch,
            parent,
            profile,
            after,
            ..
        } => {
            after.0.iter().for_each(|r| see(r, Needs::Handle));
            see(switch, Needs::Handle);
            see(parent, Needs::Handle);
            see(profile, Needs::Handle);
        }
        Body::Claim { pool: Some(pool), .. } => see(pool, Needs::Handle),
        Body::Nat {
            translated: Translated::Claim { claim, .. },
            ..
        } => see(claim, Needs::Address),
        Body::Member { group, member } => {
            see(group, Needs::Handle);
            see(member, Needs::Handle);
        }
        Body::Section {
            anchor, applied_to, ..
        } => {
            anchor.0.iter().for_each(|r| see(r, Needs::Handle));
            each_target(applied_to, see);
        }
        Body::Rule(rule) => {
            see(&rule.section, Needs::Handle);
            if let PeerSet::Of(targets) | PeerSet::NoneOf(targets) = &rule.peers {
                each_target(targets, see);
            }
            each_target(&rule.applied_to, see);
        }
        Body::Router { .. }
        | Body::LinkTier0 { .. }
        | Body::IpSubnet { .. }
        | Body::Switch { .. }
        | Body::Claim { pool: None, .. }
        | Body::Nat { .. }
        | Body::Group { .. }
        | Body::Union { .. }
        | Body::ClusterGroup { .. }
        | Body::SpoofGuard { .. }
        | Body::Found => {}
    }
}

fn each_target<R>(targets: &[Target<R>], see: &mut impl FnMut(&R, Needs)) {
    for target in targets {
        if let Target::Group(r) | Target::Switch(r) = target {
            see(r, Needs::Handle);
        }
    }
}

/// What must stand before a wanted body is written, beyond what it names.
pub(super) fn refs(body: &Wanted) -> Vec<Ref<Part>> {
    let mut refs = Vec::new();
    each_ref(body, &mut |key, needs| {
        refs.push(Ref {
            key: key.clone(),
            needs,
        })
    });
    refs
}

/// The body with NSX's ids. A reference to a row that is being made in the same request is
/// [`Handle::Riding`].
pub(super) fn resolve(body: &Wanted, rows: &dyn Resolve<Manager>) -> Body<Handle> {
    let handle = |key: &Key| rows.handle(key).cloned().unwrap_or(Handle::Riding);
    match body {
        Body::Router { name, project } => Body::Router {
            name: name.clone(),
            project: project.clone(),
        },
        Body::LinkTier0 { name } => Body::LinkTier0 { name: name.clone() },
        Body::LinkTier1 { name, router, peer } => Body::LinkTier1 {
            name: name.clone(),
            router: handle(router),
            peer: handle(peer),
        },
        Body::Advertisement { router } => Body::Advertisement {
            router: handle(router),
        },
        Body::IpSubnet { routed, project } => Body::IpSubnet {
            routed: *routed,
            project: project.clone(),
        },
        Body::Switch { name, project } => Body::Switch {
            name: name.clone(),
            project: project.clone(),
        },
        Body::GatewayPort { name, switch } => Body::GatewayPort {
            name: name.clone(),
            switch: handle(switch),
        },
        Body::Downlink {
            name,
            router,
            port,
            subnet,
            cidr,
        } => Body::Downlink {
            name: name.clone(),
            router: handle(router),
            port: handle(port),
            subnet: handle(subnet),
            cidr: *cidr,
        },
        Body::Port {
            name,
            switch,
            parent,
            profile,
            vlan,
            address,
            mac,
            app,
            project,
            groups,
            labels,
            ..
        } => Body::Port {
            name: name.clone(),
            switch: handle(switch),
            parent: handle(parent),
            profile: handle(profile),
            vlan: *vlan,
            address: *address,
            mac: *mac,
            app: app.clone(),
            project: project.clone(),
            groups: groups.clone(),
            labels: labels.clone(),
            after: Apart(Vec::new()),
        },
        Body::Claim { pool, project } => Body::Claim {
            pool: pool.as_ref().map(handle),
            project: project.clone(),
        },
        Body::Nat {
            name,
            priority,
            source,
            destination,
            translated,
        } => Body::Nat {
            name: name.clone(),
            priority: *priority,
            source: *source,
            destination: *destination,
            translated: match translated {
                Translated::Claim { claim, .. } => Translated::Claim {
                    claim: handle(claim),
                    address: rows.attributes(claim).and_then(|a| a.address),
                },
                Translated::Untranslated => Translated::Untranslated,
            },
        },
        Body::Group { name, group } => Body::Group {
            name: name.clone(),
            group: group.clone(),
        },
        Body::Union { name } => Body::Union { name: name.clone() },
        Body::Member { group, member } => Body::Member {
            group: handle(group),
            member: handle(member),
        },
        Body::ClusterGroup { name } => Body::ClusterGroup { name: name.clone() },
        Body::SpoofGuard { name } => Body::SpoofGuard { name: name.clone() },
        Body::Found => Body::Found,
        Body::Section {
            name,
            tier,
            logs,
            anchor,
            applied_to,
        } => Body::Section {
            name: name.clone(),
            tier: *tier,
            logs: *logs,
            anchor: Apart(anchor.0.as_ref().map(handle)),
            applied_to: targets(applied_to, handle),
        },
        Body::Rule(rule) => Body::Rule(RuleBody {
            section: handle(&rule.section),
            direction: rule.direction,
            peers: match &rule.peers {
                PeerSet::Any => PeerSet::Any,
                PeerSet::Of(all) => PeerSet::Of(targets(all, handle)),
                PeerSet::NoneOf(all) => PeerSet::NoneOf(targets(all, handle)),
            },
            services: in_order(rule.services.clone()),
            action: rule.action,
            log: rule.log,
            applied_to: targets(&rule.applied_to, handle),
        }),
    }
}

/// Services in one order, whatever order they were written in, since NSX promises to keep none.
pub(super) fn in_order(mut services: Vec<Service>) -> Vec<Service> {
    for service in &mut services {
        if let Service::Tcp(ports) | Service::Udp(ports) = service {
            ports.sort_unstable();
        }
    }
    services.sort_unstable();
    services
}

/// Resolved references, in an order that does not depend on how they were named.
fn targets(all: &[Target<Key>], handle: impl Fn(&Key) -> Handle) -> Vec<Target<Handle>> {
    let mut resolved: Vec<Target<Handle>> = all
        .iter()
        .map(|target| match target {
            Target::Group(r) => Target::Group(handle(r)),
            Target::Switch(r) => Target::Switch(handle(r)),
            Target::Address(text) => Target::Address(text.clone()),
        })
        .collect();
    resolved.sort();
    resolved
}
