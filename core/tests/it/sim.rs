//! A driver with a simulated clock: it carries effects to a [`World`] and answers back, late, out of
//! order, sometimes not at all, and watches that nothing is written that may not be.

use std::collections::BTreeMap;
use std::time::Duration;

use ncp_core::code::Code;
use ncp_core::compile::{Compiled, compile};
use ncp_core::dialect::{Batch, Dialect, Failure, Fence, Outcome, ReadOutcome, ReadRequest, StepId};
use ncp_core::digest;
use ncp_core::engine::{Effect, Engine, ReadId};
use ncp_core::event::Event;
use ncp_core::settings::Settings;
use ncp_core::time::Time;
use ncp_core::topology::{Object, ObjectKey};

use crate::facts::{self, Change, Platform};
use crate::far::World;
use crate::toy::{Style, Toy};

/// How likely each fault is, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost_before: u64,
    pub(crate) lost_after: u64,
    pub(crate) not_sent: u64,
    pub(crate) stale: u64,
    pub(crate) refused: u64,
    pub(crate) unread: u64,
    /// Longest time in milliseconds that a message takes.
    pub(crate) delay: u64,
}

impl Faults {
    pub(crate) const SOME: Faults = Faults {
        lost_before: 5,
        lost_after: 5,
        not_sent: 4,
        stale: 3,
        refused: 4,
        unread: 5,
        delay: 400,
    };
}

#[derive(Clone, Debug)]
enum Message {
    Write(Batch<Toy>),
    Wrote(Vec<(StepId, Outcome<Toy>)>),
    Read(ReadId, ReadRequest<Toy>),
    Answer(ReadId, ReadOutcome<Toy>),
    Event(Event),
}

/// Called after every change of the world.
pub(crate) type Watch = Box<dyn FnMut(&World, &Batch<Toy>)>;

pub(crate) struct Sim {
    pub(crate) engine: Engine<Toy>,
    pub(crate) world: World,
    pub(crate) platform: Platform,
    pub(crate) now: Time,
    pub(crate) faults: Faults,
    pub(crate) settings: Settings,
    pub(crate) style: Style,
    /// Effects as text, when they are recorded.
    pub(crate) record: Option<Vec<String>>,
    /// Called after every batch that took effect.
    pub(crate) watch: Option<Watch>,
    /// Batches that reached the world.
    pub(crate) arrived: u64,
    /// The engine dies when so many have.
    pub(crate) dies_at: Option<u64>,
    polls: u64,
    life: u64,
    epoch: u64,
    leading: Option<Fence>,
    sequence: u64,
    seed: u64,
    queue: BTreeMap<(Time, u64), (u64, Message)>,
    /// Where each port was last seen standing, and whether it may move.
    places: BTreeMap<ObjectKey, (u16, std::net::Ipv4Addr)>,
    pub(crate) ports_may_move: bool,
}

pub(crate) fn settings() -> Settings {
    Settings {
        subnet_prefix: 29,
        scopes: facts::scopes(),
        platform_sources: [ncp_core::net::Cidr::net("10.0.1.0/24".parse().unwrap())].into(),
        ..Settings::default()
    }
}

pub(crate) const TTL: Duration = Duration::from_secs(30);

impl Sim {
    pub(crate) fn new(style: Style, seed: u64) -> Sim {
        let mut world = World::new(style);
        for n in 0..facts::NODES {
            world.add_node(&facts::node_id(n));
        }
        for pool in ["pool-a", "pool-b", "pool-c"] {
            world.pools.insert(ncp_core::id::PoolName::new(pool), 8);
        }
        world.add_foreign("aaa-foreign");
        world.add_foreign("zzz-foreign");
        let settings = settings();
        Sim {
            engine: Engine::new(Toy(style), settings.clone()),
            world,
            platform: Platform::default(),
            now: Time(1_000),
            faults: Faults::default(),
            settings,
            style,
            record: None,
            watch: None,
            arrived: 0,
            dies_at: None,
            polls: 0,
            life: 0,
            epoch: 0,
            leading: None,
            sequence: 0,
            seed,
            queue: BTreeMap::new(),
            places: BTreeMap::new(),
            ports_may_move: false,
        }
    }

    /// A number below `below`.
    pub(crate) fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        digest::of(&self.seed).0 % below.max(1)
    }

    fn happens(&mut self, percent: u64) -> bool {
        percent > 0 && self.random(100) < percent
    }

    fn post(&mut self, message: Message) {
        let delay = self.faults.delay;
        let at = self.now + Duration::from_millis(self.random(delay + 1));
        self.post_at(at, message);
    }

    fn post_at(&mut self, at: Time, message: Message) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (self.life, message));
    }

    pub(crate) fn feed(&mut self, event: Event) {
        self.engine.feed(event, self.now);
    }

    /// The platform changes and its adapter says so at once.
    pub(crate) fn change(&mut self, change: &Change) {
        let event = self.event_of(change);
        self.feed(event);
    }

    /// The platform changes; the event may be doubled, delayed or lost.
    pub(crate) fn change_badly(&mut self, change: &Change) {
        let event = self.event_of(change);
        if self.happens(15) {
            return;
        }
        for _ in 0..1 + self.random(5) / 4 {
            self.post(Message::Event(event.clone()));
        }
    }

    fn event_of(&mut self, change: &Change) -> Event {
        match change {
            Change::Say(fact) => self.platform.say(fact.clone()),
            Change::Unsay(key) => self.platform.unsay(key.clone()),
        }
    }

    pub(crate) fn list_all(&mut self) {
        for event in self.platform.list_all() {
            self.feed(event);
        }
    }

    pub(crate) fn list(&mut self, scope: usize) {
        for event in self.platform.list(scope) {
            self.feed(event);
        }
    }

    pub(crate) fn gain(&mut self) {
        self.epoch += 1;
        self.prolong();
    }

    fn prolong(&mut self) {
        let fence = Fence {
            epoch: self.epoch,
            deadline: self.now + TTL,
        };
        self.leading = Some(fence);
        self.engine.lead(self.leading, self.now);
    }

    pub(crate) fn lose(&mut self) {
        self.leading = None;
        self.engine.lead(None, self.now);
    }

    pub(crate) fn leads(&self) -> bool {
        self.leading.is_some()
    }

    /// The process ends; another begins, which hears the present state of the platform. What was on
    /// its way still arrives, but is answered to nobody.
    pub(crate) fn restart(&mut self) {
        self.life += 1;
        self.leading = None;
        self.engine = Engine::new(Toy(self.style), self.settings.clone());
        self.places.clear();
        self.list_all();
    }

    /// Lets time pass, prolonging the leadership if there is one.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let mut turns = 0u32;
        loop {
            turns += 1;
            assert!(
                turns < 10_000,
                "the engine spins:\n{}",
                self.engine.plan(self.now)
            );
            if let Some(fence) = self.leading
                && fence.deadline.since(self.now) < TTL / 2
            {
                self.prolong();
            }
            let wake = self.poll();
            let next = self.queue.keys().next().map(|(time, _)| *time);
            let lease = self
                .leading
                .map(|f| Time(f.deadline.0 - TTL.as_millis() as u64 / 3));
            let step = [next, wake, lease].into_iter().flatten().min();
            let Some(step) = step.filter(|t| *t <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(step);
            self.deliver();
        }
    }

    /// Runs on without prolonging: a frozen leader's lock.
    pub(crate) fn run_frozen(&mut self, span: Duration) {
        let end = self.now + span;
        self.now = end;
        self.poll();
        while self.queue.keys().next().is_some_and(|(t, _)| *t <= end) {
            self.deliver_one();
        }
    }

    fn poll(&mut self) -> Option<Time> {
        let credits = 1 + self.random(6) as usize;
        let poll = self.engine.poll(self.now, credits);
        for effect in poll.effects {
            self.carry(effect);
        }
        if let Some(wake) = poll.wake {
            assert!(wake > self.now || self.queue_due(), "wakes at once, for nothing");
        }
        self.polls += 1;
        if self.polls.is_multiple_of(8) {
            self.check_law();
        }
        poll.wake
    }

    fn queue_due(&self) -> bool {
        self.queue.keys().next().is_some_and(|(t, _)| *t <= self.now)
    }

    fn carry(&mut self, effect: Effect<Toy>) {
        if let Some(record) = &mut self.record {
            record.push(format!("{} {effect:?}", self.now.0));
        }
        match effect {
            Effect::Write(batch, fence) => {
                assert_eq!(Some(fence), self.leading, "written under another fence");
                assert!(self.now < fence.deadline, "written past the deadline");
                assert!(!batch.steps.is_empty());
                self.post(Message::Write(batch));
            }
            Effect::Read(id, request) => self.post(Message::Read(id, request)),
        }
    }

    fn deliver(&mut self) {
        while self.queue_due() {
            self.deliver_one();
        }
    }

    fn deliver_one(&mut self) {
        let Some((_, (life, message))) = self.queue.pop_first() else {
            return;
        };
        let mine = life == self.life;
        match message {
            Message::Write(batch) => self.write(batch, mine),
            Message::Wrote(outcomes) if mine => {
                for (step, outcome) in outcomes {
                    self.engine.done(step, outcome, self.now);
                }
            }
            Message::Read(id, request) => {
                let answer = if self.happens(self.faults.unread) {
                    ReadOutcome::Failed(outage())
                } else {
                    self.world.read(&request)
                };
                if mine {
                    self.post(Message::Answer(id, answer));
                }
            }
            Message::Answer(id, answer) if mine => self.engine.read(id, answer, self.now),
            Message::Event(event) if mine => self.feed(event),
            Message::Wrote(_) | Message::Answer(..) | Message::Event(_) => {}
        }
    }

    fn write(&mut self, batch: Batch<Toy>, mine: bool) {
        self.arrived += 1;
        if mine && self.dies_at == Some(self.arrived) {
            // Before or after it takes effect, by turns.
            if self.arrived.is_multiple_of(2) {
                self.take_effect(&batch);
            }
            self.restart();
            self.gain();
            return;
        }
        let every = |outcome: Outcome<Toy>| batch.steps.iter().map(|s| (s.id, outcome.clone())).collect();
        let faults = self.faults;
        let outcomes = if self.happens(faults.not_sent) {
            every(Outcome::NotSent(outage()))
        } else if self.happens(faults.lost_before) {
            every(Outcome::Uncertain)
        } else if self.happens(faults.stale) {
            every(Outcome::Stale)
        } else if self.happens(faults.refused) {
            every(Outcome::Refused(Failure::new(
                Code::FirewallUpdateFailed,
                "not now",
            )))
        } else {
            let outcomes = self.take_effect(&batch);
            match self.happens(faults.lost_after) {
                true => every(Outcome::Uncertain),
                false => outcomes,
            }
        };
        if mine {
            self.post(Message::Wrote(outcomes));
        }
    }

    fn take_effect(&mut self, batch: &Batch<Toy>) -> Vec<(StepId, Outcome<Toy>)> {
        let outcomes = self.world.write(batch);
        self.note_places();
        if let Some(mut watch) = self.watch.take() {
            watch(&self.world, batch);
            self.watch = Some(watch);
        }
        outcomes
    }

    /// No port moves while its place is valid.
    fn note_places(&mut self) {
        let mut places = BTreeMap::new();
        let mut count: BTreeMap<&ObjectKey, usize> = BTreeMap::new();
        for (_, key, _) in self.world.ours() {
            *count.entry(&key.object).or_default() += 1;
        }
        for object in self.world.objects() {
            // Of two that a lost answer left, either may be shown.
            if count[&object.key()] > 1 {
                continue;
            }
            if let Object::Port(port) = &object {
                let place = (port.vlan, port.address);
                let before = self.places.get(&object.key());
                let moved = before.is_some_and(|b| *b != place);
                assert!(
                    !moved || self.ports_may_move,
                    "{} moved from {before:?} to {place:?}",
                    object.key()
                );
                places.insert(object.key(), place);
            }
        }
        self.places = places;
    }

    /// The law: what history left is what compiling from scratch gives, but for keys that wait, which
    /// keep what stands.
    pub(crate) fn check_law(&self) {
        if !self.engine.up_to_date() {
            return;
        }
        let (wanted, scratch) = (self.engine.wanted(), self.engine.wanted_from_scratch());
        for (key, digest) in &scratch {
            assert_eq!(
                wanted.get(key),
                Some(digest),
                "{key} is not wanted as it should be"
            );
        }
        for key in wanted.keys().filter(|k| !scratch.contains_key(k)) {
            assert!(self.engine.keeps(&key.object), "{key} is wanted and should not");
        }
    }

    /// Faults stop, the platform says everything, and time passes until every hold is over.
    pub(crate) fn quiesce(&mut self) {
        self.faults = Faults::default();
        self.world.blocks = 64;
        self.world.refuses.clear();
        for pool in self.world.pools.values_mut() {
            *pool = 16;
        }
        for scope in facts::scopes() {
            self.feed(Event::Trust { scope, trusted: true });
        }
        if !self.leads() {
            self.gain();
        }
        for _ in 0..8 {
            self.list_all();
            self.engine.confirm();
            self.run(Duration::from_secs(601));
        }
    }

    /// The far end holds exactly what is wanted.
    pub(crate) fn check_converged(&self) {
        let text = self.engine.plan(self.now).to_string();
        let status = self.engine.status();
        assert!(
            self.engine.settled(),
            "not settled: {status:#?}\n{text}{:?}",
            self.engine.conditions()
        );
        let toy = Toy(self.style);
        let wanted = self.engine.wanted();
        let mut found = BTreeMap::new();
        for (handle, key, item) in self.world.ours() {
            let twin = found.insert(key.clone(), handle.clone());
            assert_eq!(twin, None, "{key} stands twice");
            assert!(wanted.contains_key(key), "{key} stands and is not wanted");
            let digest = item.digest;
            let compiled = compile(&key.object, self.engine.context());
            let Compiled::Object(object) = compiled else {
                panic!("{key} stands, yet {compiled:?}")
            };
            let rows = toy.render(&object).unwrap();
            let row = rows.into_iter().find(|(part, _)| *part == key.part).unwrap().1;
            assert_eq!(
                toy.digest(&row, self.engine.planner()),
                Some(digest),
                "{key} differs"
            );
        }
        for key in wanted.keys().filter(|k| !toy.looked_for(k)) {
            assert!(found.contains_key(key), "{key} is wanted and does not stand");
        }
        for name in ["aaa-foreign", "zzz-foreign"] {
            let handle = crate::toy::Handle(name.into());
            assert_eq!(self.world.items[&handle].digest.0, 1, "{name} was touched");
        }
        self.check_places();
        self.check_platform();
    }

    /// Every choice is unique in its scope.
    fn check_places(&self) {
        let mut vlans = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for object in self.world.objects() {
            let Object::Port(port) = object else { continue };
            let other = vlans.insert((port.node.clone(), port.vlan), port.workload.clone());
            assert_eq!(
                other, None,
                "two ports with VLAN {} below {}",
                port.vlan, port.node
            );
            let other = addresses.insert(port.address, port.workload.clone());
            assert_eq!(other, None, "two ports with {}", port.address);
        }
    }

    /// What stands fits the platform: a port for each container and none besides.
    fn check_platform(&self) {
        use ncp_core::intent::FactKey;
        let ports = self.world.objects().into_iter().filter_map(|o| match o {
            Object::Port(port) => Some(port.workload),
            _ => None,
        });
        let ports: Vec<_> = ports.collect();
        let workloads = self.platform.facts.keys().filter_map(|k| match k {
            FactKey::Workload(w) => Some(w.clone()),
            _ => None,
        });
        assert_eq!(
            ports,
            workloads.collect::<Vec<_>>(),
            "ports do not fit the containers"
        );
    }

    /// Time in which nothing may be written.
    pub(crate) fn check_still(&mut self, span: Duration) {
        let before = (self.world.writes, self.arrived);
        self.run(span);
        assert_eq!(
            (self.world.writes, self.arrived),
            before,
            "written in a steady state"
        );
    }
}

pub(crate) fn outage() -> Failure {
    Failure::new(Code::NsxConnectionFailed, "nobody answers")
}
