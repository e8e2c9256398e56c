//! A far end that answers at once: what is measured is the engine and the manager dialect.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use ncp_core::dialect::{Asked, Attributes, Outcome, ReadOutcome, ReadRequest, Step, Verb};
use ncp_core::engine::{Effect, Engine};
use ncp_core::id::Name;
use ncp_core::time::Time;
use ncp_core::topology::ObjectKey;
use ncp_nsxt::manager::{Block, Body, Environment, Handle, Limits, Manager, NodeMatch, Op, Part};

/// Counts what was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) batches: u64,
    pub(crate) steps: u64,
    pub(crate) reads: u64,
}

/// How many requests are under way together, as with three managers.
const ROOM: usize = 60;

pub(crate) struct Answers {
    next_id: u64,
    next_subnet: u32,
    next_address: u32,
    pub(crate) sent: Sent,
}

pub(crate) fn environment() -> Environment {
    let net = |text: &str| text.parse::<Ipv4Net>().unwrap_or_default();
    Environment {
        cluster: "bench".to_owned(),
        tier0: Name::new("t0"),
        overlay_zone: Name::new("tz"),
        container_blocks: vec![Block {
            id: Name::new("block"),
            cidr: net("10.0.0.0/8"),
        }],
        routed_blocks: Vec::new(),
        external_pools: vec![Name::new("pool")],
        top_marker: None,
        bottom_marker: None,
        no_masquerade: Vec::new(),
        subnet_prefix: 24,
        node_match: NodeMatch::by_name(),
        limits: Limits::default(),
    }
}

impl Answers {
    pub(crate) fn new() -> Answers {
        Answers {
            next_id: 0,
            next_subnet: 0,
            next_address: 0,
            sent: Sent::default(),
        }
    }

    /// Polls and answers until nothing is left to do at this time.
    pub(crate) fn settle(&mut self, engine: &mut Engine<Manager>, now: Time) {
        loop {
            let effects = engine.poll(now, ROOM).effects;
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.answer(engine, effect, now);
            }
        }
    }

    pub(crate) fn answer(&mut self, engine: &mut Engine<Manager>, effect: Effect<Manager>, now: Time) {
        match effect {
            Effect::Write(batch, _) => {
                self.sent.batches += 1;
                for step in batch.steps {
                    self.sent.steps += 1;
                    let id = step.id;
                    let outcome = self.outcome(step);
                    engine.done(id, outcome, now);
                }
            }
            Effect::Read(id, request) => {
                self.sent.reads += 1;
                engine.read(id, self.read(request), now);
            }
        }
    }

    fn id(&mut self) -> Name {
        self.next_id += 1;
        Name::uuid(0x0000_0000_0000_4000_8000_0000_0000_0000 | u128::from(self.next_id))
    }

    fn outcome(&mut self, step: Step<Manager>) -> Outcome<Manager> {
        if step.verb == Verb::Retire {
            return Outcome::Gone;
        }
        let (body, old) = match step.op {
            Op::Make(body) => (body, None),
            Op::Change(handle, body) => (body, Some(handle)),
            Op::Remove(_) => return Outcome::Gone,
        };
        let handle = old.unwrap_or_else(|| self.handle(&step.key.part, &body));
        let mut attributes = Attributes::default();
        if step.key.part == Part::IpSubnet {
            self.next_subnet += 1;
            attributes.cidr = Ipv4Net::new(Ipv4Addr::from(0x0a00_0000 + (self.next_subnet << 8)), 24).ok();
        }
        if step.key.part == Part::Claim {
            self.next_address += 1;
            attributes.address = Some(Ipv4Addr::from(0xc0a8_0000 + self.next_address));
        }
        Outcome::Done(Manager::seen(handle, &body, attributes))
    }

    fn handle(&mut self, part: &Part, body: &Body<Handle>) -> Handle {
        match (part, body) {
            (Part::Nat | Part::NoNat(_), _) => Handle::Nat(self.id()),
            (Part::Rule(_), _) => Handle::Rule {
                section: Name::new("s"),
                rule: self.id(),
            },
            (Part::Advertisement, _) => Handle::Advertisement(self.id()),
            (Part::Member, _) => Handle::Member {
                group: self.id(),
                member: self.id(),
            },
            _ => Handle::Id(self.id()),
        }
    }

    fn read(&mut self, request: ReadRequest<Manager>) -> ReadOutcome<Manager> {
        let chunk = |items, absent| ReadOutcome::Chunk {
            items,
            absent,
            refused: Vec::new(),
            next: None,
            whole: true,
        };
        match request {
            ReadRequest::Sweep(..) => chunk(Vec::new(), Vec::new()),
            ReadRequest::Rows(asked) => {
                let mut items = Vec::new();
                let mut absent = Vec::new();
                for Asked { key, .. } in asked {
                    match &key.object {
                        ObjectKey::Node(node) => {
                            let handle = Handle::Vif(node.0.clone());
                            items.push((key, Manager::seen(handle, &Body::Found, Attributes::default())));
                        }
                        _ => absent.push(key),
                    }
                }
                chunk(items, absent)
            }
        }
    }
}
