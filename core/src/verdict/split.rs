//! Splitting a rule that says more than a backend's one rule can.

use std::collections::BTreeSet;

use crate::intent::{Peers, Rule};
use crate::net::{PortRange, Service};

/// What one rule of a backend holds at most. Zero counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleLimits {
    /// Peers (groups, networks, ranges): 128 references in an NSX firewall rule.
    pub peers: usize,
    /// Services: 128 in an NSX firewall rule.
    pub services: usize,
    /// Ports and ranges of one service: 15 in an NSX L4 port set.
    pub ports: usize,
}

/// Whether one rule of the backend says all of this one.
pub fn fits(rule: &Rule, limits: RuleLimits) -> bool {
    let peers = match &rule.peers {
        Peers::Any | Peers::Containers | Peers::Outside => true,
        Peers::Groups(groups) => (1..=limits.peers).contains(&groups.len()),
        Peers::Cidrs(cidrs) => (1..=limits.peers).contains(&cidrs.len()),
    };
    let ports = |service: &Service| match service {
        Service::Tcp(ports) | Service::Udp(ports) => ports.len() <= limits.ports,
        Service::Icmp4 { .. } | Service::Icmp6 { .. } | Service::Protocol(_) => true,
    };
    peers && rule.services.len() <= limits.services && rule.services.iter().all(ports)
}

/// Splits a rule into rules that together say the same, each within the limits, in a stable order.
///
/// A rule whose list of peers is empty matches nothing and yields no rule: rendered, its empty list
/// would read as "any" in most engines and open what it never named.
pub fn split(rule: &Rule, limits: RuleLimits) -> Vec<Rule> {
    let services = chunk_services(&rule.services, limits);
    let mut rules = Vec::new();
    for peers in chunk_peers(&rule.peers, limits.peers.max(1)) {
        for services in &services {
            rules.push(Rule {
                peers: peers.clone(),
                services: services.clone(),
                ..rule.clone()
            });
        }
    }
    rules
}

fn chunk_peers(peers: &Peers, most: usize) -> Vec<Peers> {
    match peers {
        Peers::Any | Peers::Containers | Peers::Outside => vec![peers.clone()],
        Peers::Groups(groups) => chunks(groups, most).map(Peers::Groups).collect(),
        Peers::Cidrs(cidrs) => chunks(cidrs, most).map(Peers::Cidrs).collect(),
    }
}

fn chunks<T: Ord + Clone>(set: &BTreeSet<T>, most: usize) -> impl Iterator<Item = BTreeSet<T>> {
    let items: Vec<&T> = set.iter().collect();
    let parts: Vec<BTreeSet<T>> = items
        .chunks(most)
        .map(|part| part.iter().map(|item| (*item).clone()).collect())
        .collect();
    parts.into_iter()
}

fn chunk_services(services: &[Service], limits: RuleLimits) -> Vec<Vec<Service>> {
    if services.is_empty() {
        // Means everything, and stays one.
        return vec![vec![]];
    }
    let most = limits.ports.max(1);
    let small: Vec<Service> = services.iter().flat_map(|s| chunk_ports(s, most)).collect();
    let parts = small.chunks(limits.services.max(1));
    parts.map(<[Service]>::to_vec).collect()
}

fn chunk_ports(service: &Service, most: usize) -> Vec<Service> {
    let parts = |ports: &Vec<PortRange>, make: fn(Vec<PortRange>) -> Service| {
        if ports.is_empty() {
            return vec![make(vec![])];
        }
        ports.chunks(most).map(|part| make(part.to_vec())).collect()
    };
    match service {
        Service::Tcp(ports) => parts(ports, Service::Tcp),
        Service::Udp(ports) => parts(ports, Service::Udp),
        Service::Icmp4 { .. } | Service::Icmp6 { .. } | Service::Protocol(_) => vec![service.clone()],
    }
}
