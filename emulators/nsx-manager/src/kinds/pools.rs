//! Address management: blocks carved into subnets, pools with allocations, the MAC pool.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use http::StatusCode;
use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};

use super::formats::{Format, mac, mac_text};
use super::schema::{Schema, Type, field, int, list, text};
use super::transport::Held;
use super::{Filter, Kind, Plain, Rules, Spec};
use crate::api::error::{self, ApiError, Result};
use crate::api::query::Query;
use crate::store::{Body, New, Object, Term, Tx, View, items, string, text as text_of};

pub(crate) const MODULE: &str = "id-allocation";

const RANGE: &Schema = &[
    field("start", Type::Of(Format::Ip)).required(),
    field("end", Type::Of(Format::Ip)).required(),
];

const SUBNET: &Schema = &[
    field("cidr", Type::Of(Format::Cidr)).required(),
    list("allocation_ranges", &Type::Object(RANGE), 100).required(),
    field("gateway_ip", Type::Of(Format::Ip)),
    list("dns_nameservers", &Type::Of(Format::Ip), 3),
    text("dns_suffix"),
];

const POOL: &Schema = &[
    list("subnets", &Type::Object(SUBNET), 5).or_empty(),
    field("pool_usage", Type::Any).read_only(),
];

const BLOCK: &Schema = &[field("cidr", Type::Of(Format::Ipv4Cidr)).required()];

const BLOCK_SUBNET: &Schema = &[
    text("block_id").once(),
    int("size", 1, 1 << 24).required(),
    text("cidr").read_only(),
    list("allocation_ranges", &Type::Any, 1).read_only(),
];

const MAC_RANGE: &Schema = &[
    field("start", Type::Of(Format::Mac)).required(),
    field("end", Type::Of(Format::Mac)).required(),
];
const MAC_POOL: &Schema = &[list("ranges", &Type::Object(MAC_RANGE), 100).required()];

pub(super) const SPECS: &[Spec] = &[
    Spec::new(
        Kind::IpBlock,
        "pools/ip-blocks",
        MODULE,
        &[("IpBlock", BLOCK)],
        &Blocks,
    ),
    Spec::new(
        Kind::IpBlockSubnet,
        "pools/ip-subnets",
        MODULE,
        &[("IpBlockSubnet", BLOCK_SUBNET)],
        &Subnets,
    ),
    Spec::new(
        Kind::IpPool,
        "pools/ip-pools",
        MODULE,
        &[("IpPool", POOL)],
        &Pools,
    ),
    Spec::new(
        Kind::MacPool,
        "pools/mac-pools",
        MODULE,
        &[("MacPool", MAC_POOL)],
        &Held(&[(Kind::LogicalSwitch, "switches draw from it")]),
    )
    .read_only(),
    Spec::new(
        Kind::AllocationIpAddress,
        "",
        MODULE,
        &[("AllocationIpAddress", &[])],
        &Plain,
    ),
];

fn bad(code: u32, message: impl Into<String>) -> ApiError {
    ApiError::bad(code, message).module(MODULE)
}

/// The network of a block or of a carved subnet.
pub(crate) fn network(object: &Body) -> Option<Ipv4Net> {
    text_of(object, "cidr")
        .parse::<Ipv4Net>()
        .ok()
        .map(|network| network.trunc())
}

struct Blocks;

impl Rules for Blocks {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        let (Some(old), Some(block)) = (old, network(body)) else {
            return Ok(());
        };
        let mut carved = tx
            .view()
            .referrers(Kind::IpBlockSubnet, &old.id)
            .filter_map(|subnet| network(&subnet.body));
        match carved.find(|subnet| !block.contains(subnet)) {
            Some(subnet) => Err(bad(
                error::RANGE_IN_USE,
                format!("The subnet {subnet} would lie outside {block}."),
            )),
            None => Ok(()),
        }
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, _: &Query) -> Result<()> {
        if tx.referred(Kind::IpBlockSubnet, &object.id) {
            return Err(ApiError::in_use(&object.id, "subnets are carved from it").module(MODULE));
        }
        Ok(())
    }
}

struct Subnets;

impl Rules for Subnets {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, _: Option<&Object>) -> Result<()> {
        let block = tx.referent(Kind::IpBlock, text_of(body, "block_id"))?;
        let size = body.get("size").and_then(Value::as_u64).unwrap_or(0);
        if !size.is_power_of_two() {
            return Err(bad(
                error::INVALID,
                format!("The size {size} is no power of two."),
            ));
        }
        let subnet = carve(tx.view(), &block, size).ok_or_else(|| {
            let message = format!("The block {} has no room for {size} addresses.", block.id);
            ApiError::new(StatusCode::CONFLICT, error::BLOCK_FULL, message).module(MODULE)
        })?;
        body.insert("cidr".into(), json!(subnet.to_string()));
        let (first, last) = (subnet.network().to_string(), subnet.broadcast().to_string());
        body.insert(
            "allocation_ranges".into(),
            json!([{ "start": first, "end": last }]),
        );
        Ok(())
    }

    fn stored(&self, tx: &mut Tx<'_>, object: &Arc<Object>, old: Option<&Object>) -> Result<()> {
        if old.is_none() && object.text("display_name").is_empty() {
            tx.touch(object, |body| {
                drop(body.insert("display_name".into(), json!(object.id.as_ref())))
            });
        }
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, _: &Query) -> Result<()> {
        match allocations(tx.view(), &object.id) {
            0 => Ok(()),
            _ => Err(ApiError::in_use(&object.id, "addresses are allocated from it").module(MODULE)),
        }
    }

    fn filter(&self, query: &Query) -> Result<Filter> {
        Ok(Filter::all().with(query.get("block_id").map(|block| Term::Ref(block.into()))))
    }
}

/// The lowest free range of `size` addresses on a boundary of its size.
fn carve(view: &View, block: &Object, size: u64) -> Option<Ipv4Net> {
    let network = network(&block.body)?;
    let (first, last) = (
        u64::from(u32::from(network.network())),
        u64::from(u32::from(network.broadcast())),
    );
    let mut taken: Vec<(u64, u64)> = view
        .referrers(Kind::IpBlockSubnet, &block.id)
        .filter_map(|subnet| self::network(&subnet.body))
        .map(|subnet| {
            (
                u64::from(u32::from(subnet.network())),
                u64::from(u32::from(subnet.broadcast())),
            )
        })
        .collect();
    taken.sort_unstable();
    let mut start = first.next_multiple_of(size);
    for (from, to) in taken {
        if start + size <= from {
            break;
        }
        start = start.max((to + 1).next_multiple_of(size));
    }
    let length = u8::try_from(32 - size.trailing_zeros()).ok()?;
    let address = Ipv4Addr::from(u32::try_from(start).ok()?);
    if start + size - 1 > last {
        None
    } else {
        Ipv4Net::new(address, length).ok()
    }
}

struct Pools;

impl Rules for Pools {
    fn check(&self, tx: &mut Tx<'_>, body: &mut Body, old: Option<&Object>) -> Result<()> {
        well_formed(body)?;
        let Some(old) = old else {
            body.insert("pool_usage".into(), usage(total(body), 0));
            return Ok(());
        };
        let ranges = ranges(body);
        let inside = |address: IpAddr| ranges.iter().any(|range| range.contains(&address));
        for held in tx.view().children(Kind::AllocationIpAddress, &old.id) {
            let address = held.text("allocation_id").parse().ok();
            if !address.is_some_and(inside) {
                let code = if items(body, "subnets").len() < old.items("subnets").len() {
                    error::SUBNET_IN_USE
                } else {
                    error::RANGE_IN_USE
                };
                return Err(bad(code, format!("{} is allocated.", held.text("allocation_id"))));
            }
        }
        body.insert(
            "pool_usage".into(),
            usage(total(body), allocations(tx.view(), &old.id)),
        );
        Ok(())
    }

    fn release(&self, tx: &mut Tx<'_>, object: &Arc<Object>, query: &Query) -> Result<()> {
        let force = query.flag("force");
        if !force && tx.referred(Kind::LogicalSwitch, &object.id) {
            return Err(ApiError::in_use(&object.id, "a logical switch draws from it").module(MODULE));
        }
        if !force && allocations(tx.view(), &object.id) > 0 {
            return Err(ApiError::in_use(&object.id, "addresses are allocated from it").module(MODULE));
        }
        for held in tx.children(Kind::AllocationIpAddress, &object.id) {
            tx.remove(Kind::AllocationIpAddress, &held.id);
        }
        Ok(())
    }
}

fn well_formed(body: &Body) -> Result<()> {
    for subnet in items(body, "subnets") {
        let network: IpNet = string(subnet, "cidr")
            .parse()
            .map_err(|_| ApiError::invalid("cidr is no network."))?;
        for range in subnet
            .get("allocation_ranges")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let fits = span(range)
                .is_some_and(|range| network.contains(range.start()) && network.contains(range.end()));
            if !fits {
                return Err(bad(
                    error::INVALID,
                    format!("A range lies outside {network} or is reversed."),
                ));
            }
        }
    }
    let mut all = ranges(body);
    all.sort_by_key(|range| *range.start());
    match all.windows(2).find(|pair| pair[1].start() <= pair[0].end()) {
        Some(pair) => Err(bad(
            error::OVERLAP,
            format!("Ranges overlap at {}.", pair[1].start()),
        )),
        None => Ok(()),
    }
}

fn span(range: &Value) -> Option<RangeInclusive<IpAddr>> {
    let (start, end): (IpAddr, IpAddr) = (
        string(range, "start").parse().ok()?,
        string(range, "end").parse().ok()?,
    );
    (start <= end && start.is_ipv4() == end.is_ipv4()).then_some(start..=end)
}

/// The ranges that a pool or a carved subnet gives addresses from.
fn ranges(body: &Body) -> Vec<RangeInclusive<IpAddr>> {
    let of = |holder: &Value| -> Vec<_> {
        holder
            .get("allocation_ranges")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(span)
            .collect()
    };
    match body.get("subnets") {
        Some(_) => items(body, "subnets").iter().flat_map(of).collect(),
        None => items(body, "allocation_ranges").iter().filter_map(span).collect(),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn nth(range: &RangeInclusive<IpAddr>, offset: u128) -> IpAddr {
    match range.start() {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(*first).wrapping_add(offset as u32))),
        IpAddr::V6(first) => IpAddr::V6((u128::from(*first) + offset).into()),
    }
}

fn size(range: &RangeInclusive<IpAddr>) -> u128 {
    number(*range.end()) - number(*range.start()) + 1
}

fn total(body: &Body) -> u128 {
    ranges(body).iter().map(size).sum()
}

fn usage(total: u128, allocated: usize) -> Value {
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    json!({ "total_ids": total, "allocated_ids": allocated, "free_ids": total.saturating_sub(allocated as u64) })
}

fn allocations(view: &View, pool: &str) -> usize {
    view.weight(&Term::Parent(pool.into()))
}

fn key(pool: &str, address: &str) -> String {
    format!("{pool}/{address}")
}

/// Takes an address of the pool, or the one asked for, in the name of a port or of nobody.
pub(crate) fn draw(
    tx: &mut Tx<'_>,
    kind: Kind,
    pool: &str,
    wanted: Option<&str>,
    holder: Option<&str>,
) -> Result<String> {
    let pool = tx.get(kind, pool)?;
    let ranges = ranges(&pool.body);
    let address = match wanted {
        Some(wanted) => specific(tx, &pool, &ranges, wanted)?,
        None => lowest(tx.view(), &pool, &ranges)?,
    };
    hold(tx, &pool.id, &address, holder);
    recount(tx, &pool);
    Ok(address)
}

fn specific(tx: &Tx<'_>, pool: &Object, ranges: &[RangeInclusive<IpAddr>], wanted: &str) -> Result<String> {
    let address: IpAddr = wanted
        .parse()
        .map_err(|_| bad(error::INVALID, format!("{wanted} is no address.")))?;
    if !ranges.iter().any(|range| range.contains(&address)) {
        return Err(bad(
            error::NOT_IN_POOL,
            format!("{address} is not in pool {}.", pool.id),
        ));
    }
    let address = address.to_string();
    match tx.view().get(Kind::AllocationIpAddress, &key(&pool.id, &address)) {
        Some(_) => Err(bad(error::ALLOCATED, format!("{address} is already allocated."))),
        None => Ok(address),
    }
}

fn lowest(view: &View, pool: &Object, ranges: &[RangeInclusive<IpAddr>]) -> Result<String> {
    let held = |address: &String| {
        view.get(Kind::AllocationIpAddress, &key(&pool.id, address))
            .is_some()
    };
    let mut all = ranges
        .iter()
        .flat_map(|range| (0..size(range)).map(|offset| nth(range, offset).to_string()));
    all.find(|address| !held(address)).ok_or_else(|| {
        bad(
            error::POOL_EXHAUSTED,
            format!("The pool {} has no free address.", pool.id),
        )
    })
}

fn hold(tx: &mut Tx<'_>, pool: &str, address: &str, holder: Option<&str>) {
    let mut body = Body::from_iter([("allocation_id".to_owned(), json!(address))]);
    if let Some(holder) = holder {
        body.insert(HOLDER.into(), json!({ "target_id": holder }));
    }
    body.insert("resource_type".into(), json!("AllocationIpAddress"));
    tx.create(
        New::of(Kind::AllocationIpAddress, body)
            .id(key(pool, address))
            .parent(pool),
    );
}

/// Field of a stored allocation that names the port it was drawn for; never shown.
const HOLDER: &str = "_holder";

/// The allocation as clients see it.
pub(crate) fn shown(allocation: &Object) -> Value {
    let mut body = allocation.body.clone();
    for hidden in [HOLDER, "id", "display_name"] {
        body.remove(hidden);
    }
    Value::Object(body)
}

fn recount(tx: &mut Tx<'_>, pool: &Object) {
    let allocated = allocations(tx.view(), &pool.id);
    let Some(pool) = tx.view().get(Kind::IpPool, &pool.id).cloned() else {
        return;
    };
    let usage = usage(total(&pool.body), allocated);
    tx.touch(&pool, |body| drop(body.insert("pool_usage".into(), usage)));
}

/// Gives an address back.
pub(crate) fn give_back(tx: &mut Tx<'_>, kind: Kind, pool: &str, address: &str) -> Result<()> {
    let pool = tx.get(kind, pool)?;
    let held = tx
        .view()
        .get(Kind::AllocationIpAddress, &key(&pool.id, address))
        .cloned();
    let held = held.ok_or_else(|| {
        bad(
            error::NOT_IN_POOL,
            format!("{address} is not allocated from {}.", pool.id),
        )
    })?;
    tx.remove(Kind::AllocationIpAddress, &held.id);
    recount(tx, &pool);
    Ok(())
}

/// Gives back every address that was drawn for a port.
pub(crate) fn release_for(tx: &mut Tx<'_>, port: &str) {
    let held: Vec<_> = tx
        .view()
        .referrers(Kind::AllocationIpAddress, port)
        .cloned()
        .collect();
    for allocation in held {
        tx.remove(Kind::AllocationIpAddress, &allocation.id);
        let pool = allocation
            .parent
            .as_deref()
            .and_then(|pool| tx.view().get(Kind::IpPool, pool))
            .cloned();
        if let Some(pool) = pool {
            recount(tx, &pool);
        }
    }
}

/// Takes a MAC address of the pool for a port: the next one after as many as are taken.
pub(crate) fn draw_mac(tx: &mut Tx<'_>, pool: &str, port: &str) -> Result<String> {
    let pool = tx.referent(Kind::MacPool, pool)?;
    let taken = allocations(tx.view(), &pool.id) as u64;
    for range in pool.items("ranges") {
        let (Some(first), Some(last)) = (mac(string(range, "start")), mac(string(range, "end"))) else {
            continue;
        };
        let count = last.saturating_sub(first) + 1;
        let mut candidates = (0..count).map(|offset| mac_text(first + (taken + offset) % count));
        let free = |address: &String| {
            tx.view()
                .get(Kind::AllocationIpAddress, &key(&pool.id, address))
                .is_none()
        };
        if let Some(address) = candidates.find(free) {
            hold(tx, &pool.id, &address, Some(port));
            return Ok(address);
        }
    }
    Err(bad(
        error::POOL_EXHAUSTED,
        format!("The pool {} has no free address.", pool.id),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn object(kind: Kind, id: &str, body: Value) -> Arc<Object> {
        let body = body.as_object().unwrap().clone();
        let uid = id[1..].parse().unwrap();
        Arc::new(Object {
            kind,
            id: id.into(),
            parent: None,
            seq: uid,
            uid,
            body,
        })
    }

    fn carved(cidrs: &[&str], size: u64) -> Option<String> {
        let mut view = View::default();
        let block = object(Kind::IpBlock, "b1", json!({ "cidr": "10.0.0.0/24" }));
        for (at, cidr) in cidrs.iter().enumerate() {
            let id = format!("s{}", at + 10);
            view.put(object(
                Kind::IpBlockSubnet,
                &id,
                json!({ "block_id": "b1", "cidr": cidr }),
            ));
        }
        carve(&view, &block, size).map(|network| network.to_string())
    }

    #[test]
    fn a_block_gives_the_lowest_free_aligned_range() {
        assert_eq!(carved(&[], 64).as_deref(), Some("10.0.0.0/26"));
        assert_eq!(carved(&["10.0.0.0/28"], 64).as_deref(), Some("10.0.0.64/26"));
        assert_eq!(
            carved(&["10.0.0.0/28", "10.0.0.64/26"], 16).as_deref(),
            Some("10.0.0.16/28")
        );
        assert_eq!(
            carved(&["10.0.0.64/26", "10.0.0.0/26"], 128).as_deref(),
            Some("10.0.0.128/25")
        );
        assert_eq!(carved(&["10.0.0.128/25"], 256), None);
        assert_eq!(carved(&[], 512), None);
    }
}
