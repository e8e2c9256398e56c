//! Set algebra over networks and ranges.
//!
//! Works on runs of addresses, since what is left of a network after a subtraction is rarely one network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{AddressRange, Cidr, CidrSet};

/// A run of addresses of one family as numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    v6: bool,
    first: u128,
    last: u128,
}

impl Run {
    fn of(cidr: &Cidr) -> Run {
        let (first, last) = match cidr {
            Cidr::Net(net) => (net.network(), net.broadcast()),
            Cidr::Range(range) => (range.first(), range.last()),
        };
        Run {
            v6: !cidr.is_ipv4(),
            first: number(first),
            last: number(last),
        }
    }

    fn meets(&self, other: &Run) -> bool {
        self.v6 == other.v6 && self.first <= other.last && other.first <= self.last
    }

    /// What is left of this run without the other: nothing, one piece, or two.
    fn without(self, other: &Run) -> impl Iterator<Item = Run> {
        let (before, after) = if !self.meets(other) {
            (Some(self), None)
        } else {
            let before = (self.first < other.first).then(|| Run {
                last: other.first - 1,
                ..self
            });
            let after = (other.last < self.last).then(|| Run {
                first: other.last + 1,
                ..self
            });
            (before, after)
        };
        before.into_iter().chain(after)
    }

    fn cidr(self) -> Option<Cidr> {
        let range = AddressRange::new(self.address(self.first), self.address(self.last))?;
        Some(match as_network(self) {
            Some(net) => Cidr::net(net),
            None => Cidr::Range(range),
        })
    }

    fn address(self, number: u128) -> IpAddr {
        match self.v6 {
            true => IpAddr::V6(Ipv6Addr::from(number)),
            // Only IPv4 numbers are ever put into an IPv4 run.
            false => IpAddr::V4(Ipv4Addr::from(number as u32)),
        }
    }
}

/// A run that is exactly one network reads better, and costs less, as one.
fn as_network(run: Run) -> Option<ipnet::IpNet> {
    let bits = if run.v6 { 128 } else { 32 };
    let span = run.last - run.first;
    // A network holds a power of two of addresses; all of IPv6 has a span of all ones.
    let host_bits = 128 - span.leading_zeros();
    let power = span.checked_add(1).is_none_or(u128::is_power_of_two);
    let net = ipnet::IpNet::new(run.address(run.first), u8::try_from(bits - host_bits).ok()?).ok()?;
    (power && net.network() == run.address(run.first)).then_some(net)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// Whether the two have an address in common.
pub fn overlaps(a: &Cidr, b: &Cidr) -> bool {
    Run::of(a).meets(&Run::of(b))
}

/// Whether every address of `cidr` lies in one of `set`, also where it takes several of them.
pub fn covers(set: &CidrSet, cidr: &Cidr) -> bool {
    remainder(cidr, set).is_empty()
}

/// The addresses of `cidr` that lie in none of `set`, in ascending order.
pub fn subtract(cidr: &Cidr, set: &CidrSet) -> Vec<Cidr> {
    remainder(cidr, set).into_iter().filter_map(Run::cidr).collect()
}

fn remainder(cidr: &Cidr, set: &CidrSet) -> Vec<Run> {
    let mut left = vec![Run::of(cidr)];
    for taken in set.iter().map(Run::of) {
        left = left.into_iter().flat_map(|run| run.without(&taken)).collect();
    }
    left
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Cidr {
        Cidr::net(text.parse().unwrap())
    }

    #[test]
    fn two_halves_cover_the_whole_and_one_does_not() {
        let halves = CidrSet::from([net("10.0.0.0/9"), net("10.128.0.0/9")]);
        assert!(covers(&halves, &net("10.0.0.0/8")));
        assert!(!covers(&halves, &net("10.0.0.0/7")));
        assert!(!covers(&halves, &net("::/0")), "families are apart");
    }

    #[test]
    fn a_hole_leaves_networks_where_they_are_whole() {
        let left = subtract(&net("0.0.0.0/0"), &CidrSet::from([net("128.0.0.0/1")]));
        assert_eq!(left, [net("0.0.0.0/1")]);
        assert_eq!(subtract(&net("::/0"), &CidrSet::new()), [net("::/0")]);
        let left = subtract(&net("10.0.0.0/24"), &CidrSet::from([net("10.0.0.7/32")]));
        let text: Vec<String> = left.iter().map(Cidr::to_string).collect();
        assert_eq!(text, ["10.0.0.0-10.0.0.6", "10.0.0.8-10.0.0.255"]);
    }

    fn small() -> impl Strategy<Value = Cidr> {
        (0u8..32, 0u8..32).prop_map(|(a, b)| {
            let at = |last: u8| IpAddr::from([10, 0, 0, last]);
            Cidr::Range(AddressRange::new(at(a.min(b)), at(a.max(b))).unwrap())
        })
    }

    proptest! {
        #[test]
        fn algebra_agrees_with_asking_each_address(a in small(), set in proptest::collection::btree_set(small(), 0..4)) {
            let left = subtract(&a, &set);
            let mut any_left = false;
            for last in 0..40 {
                let address = IpAddr::from([10, 0, 0, last]);
                let is_left = a.contains(address) && !set.iter().any(|c| c.contains(address));
                any_left |= is_left;
                prop_assert_eq!(left.iter().any(|c| c.contains(address)), is_left);
            }
            prop_assert_eq!(covers(&set, &a), !any_left);
            for b in &set {
                let common = (0..40).any(|l| { let x = IpAddr::from([10, 0, 0, l]); a.contains(x) && b.contains(x) });
                prop_assert_eq!(overlaps(&a, b), common);
            }
        }
    }
}
