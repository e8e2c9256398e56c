//! `ports`: a list of ports, or one range.

use super::{Oddity, RuleError, cut};

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// A range; `None` when it holds port 0 or ends before it starts.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The first port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The last port, which may be the first.
    pub fn last(&self) -> u16 {
        self.last
    }
}

pub(super) fn parse(text: &str, oddities: &mut Vec<Oddity>) -> Result<Vec<PortRange>, RuleError> {
    if text.trim().is_empty() {
        return Err(RuleError::Missing("ports"));
    }
    if !text.contains('-') {
        return text.split(',').map(single).collect();
    }
    if text.contains(',') {
        return Err(RuleError::MixedPorts(cut(text)));
    }
    range(text, oddities).map(|range| vec![range])
}

fn single(text: &str) -> Result<PortRange, RuleError> {
    let port = port(text)?;
    Ok(PortRange {
        first: port,
        last: port,
    })
}

fn range(text: &str, oddities: &mut Vec<Oddity>) -> Result<PortRange, RuleError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first == last {
        oddities.push(Oddity::RangeOfOne);
    }
    PortRange::new(first, last).ok_or_else(|| RuleError::PortOrder(cut(text)))
}

fn port(text: &str) -> Result<u16, RuleError> {
    let digits = text.trim();
    let refused = || RuleError::Port(cut(text));
    // `parse` alone would take a plus sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    match digits.parse() {
        Ok(0) | Err(_) => Err(refused()),
        Ok(port) => Ok(port),
    }
}
