//! Histories of the model BBS, told to the machine with events late, swapped, doubled and lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::model::{Model, Op, facts, process};
use super::*;
use crate::bbs::record::*;
use crate::ids::{CellId, Handle};

/// The machine, the model, and what lies between them.
struct World {
    model: Model,
    sync: BbsSync,
    now: Duration,
    /// Questions not answered yet, with what the table held when it was read, if it was.
    asked: Vec<(Ticket, Request, Option<Answer>)>,
    streams: BTreeMap<Stream, Ticket>,
    /// Events emitted and not delivered.
    wire: Vec<(Ticket, Event)>,
    /// What a receiver of the outputs holds.
    given: BTreeMap<Handle, Container>,
    listed: BTreeMap<Scope, BTreeSet<Handle>>,
    requests: Vec<Request>,
    complete: Vec<Scope>,
    vouched: bool,
}

impl World {
    fn new(mode: Mode) -> Self {
        let mut world = Self {
            model: Model::default(),
            sync: BbsSync::new(SyncOptions::default(), mode),
            now: Duration::ZERO,
            asked: Vec::new(),
            streams: BTreeMap::new(),
            wire: Vec::new(),
            given: BTreeMap::new(),
            listed: BTreeMap::new(),
            requests: Vec::new(),
            complete: Vec::new(),
            vouched: true,
        };
        world.feed(Input::Tick);
        world
    }

    fn synchronized(mode: Mode) -> Self {
        let mut world = Self::new(mode);
        world.quiesce();
        world
    }

    fn feed(&mut self, input: Input) {
        for output in self.sync.feed(self.now, input) {
            self.output(output);
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Ask(ticket, request) => {
                self.requests.push(request.clone());
                self.asked.push((ticket, request, None));
            }
            Output::Begin(scope, _) => {
                self.listed.insert(scope, BTreeSet::new());
            }
            Output::Upsert(container) => {
                let scope = container.kind.into();
                self.listed
                    .entry(scope)
                    .or_default()
                    .insert(container.handle.clone());
                self.given.insert(container.handle.clone(), container);
            }
            Output::Remove(_, handle) => {
                assert!(self.given.remove(&handle).is_some(), "{handle} was never given");
            }
            Output::End { scope, complete, .. } => {
                if complete {
                    self.complete.push(scope);
                    let listed = self.listed.remove(&scope).unwrap_or_default();
                    self.given
                        .retain(|handle, of| Scope::from(of.kind) != scope || listed.contains(handle));
                }
            }
            Output::Cell(_) | Output::Silent(_) => {}
        }
    }

    /// The BBS reads its table for the n-th question; the answer arrives later.
    fn read(&mut self, nth: usize) {
        let count = self.asked.len().max(1);
        if let Some((_, request, read)) = self.asked.get_mut(nth % count) {
            read.get_or_insert(self.model.answer(request));
        }
    }

    /// The answer to the n-th question arrives.
    fn answer(&mut self, nth: usize) {
        if self.asked.is_empty() {
            return;
        }
        let (ticket, request, read) = self.asked.remove(nth % self.asked.len());
        if let Request::Open(stream) = request {
            self.streams.insert(stream, ticket);
        }
        let answer = match (self.vouched, read.unwrap_or_else(|| self.model.answer(&request))) {
            (false, Answer::Domains(_)) => Answer::Domains(vec![]),
            (_, answer) => answer,
        };
        self.feed(Input::Answer(ticket, answer));
    }

    fn act(&mut self, op: &Op) {
        self.model.apply(op);
        for (stream, event) in std::mem::take(&mut self.model.emitted) {
            if let Some(ticket) = self.streams.get(&stream) {
                self.wire.push((*ticket, event));
            }
        }
    }

    fn deliver(&mut self, nth: usize, twice: bool) {
        if self.wire.is_empty() {
            return;
        }
        let (ticket, event) = self.wire.remove(nth % self.wire.len());
        if twice {
            self.feed(Input::Event(ticket, event.clone()));
        }
        self.feed(Input::Event(ticket, event));
    }

    /// The stream breaks and what was on the wire is lost.
    fn cut(&mut self, stream: Stream) {
        if let Some(ticket) = self.streams.remove(&stream) {
            self.wire.retain(|(held, _)| *held != ticket);
            self.feed(Input::Ended(ticket));
        }
    }

    /// Delivers and answers everything, and lets time pass until nothing but the next period is waited for.
    fn quiesce(&mut self) {
        for _ in 0..10_000 {
            if !self.wire.is_empty() {
                self.deliver(0, false);
            } else if !self.asked.is_empty() {
                self.answer(0);
            } else {
                match self.sync.wake() {
                    Some(at) if at > self.now + Duration::from_secs(30) && self.sync.is_synchronized() => {
                        return;
                    }
                    Some(at) => {
                        self.now = at.max(self.now);
                        self.feed(Input::Tick);
                    }
                    None => return,
                }
            }
        }
        panic!("the machine never rests");
    }

    fn resync(&mut self) {
        self.now += Duration::from_secs(400);
        self.feed(Input::Tick);
        self.quiesce();
    }

    fn held(&self) -> BTreeMap<Handle, CellId> {
        self.given
            .iter()
            .map(|(handle, of)| (handle.clone(), of.cell.clone()))
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Act {
    Op(Op),
    Deliver(usize, bool),
    Read(usize),
    Answer(usize),
    Cut(Stream),
    Pass(u16),
}

fn op() -> impl Strategy<Value = Op> {
    let p = 0u8..2;
    let i = prop_oneof![3 => Just(0i32), 1 => Just(1)];
    let presence = prop_oneof![
        Just(Presence::Ordinary),
        Just(Presence::Suspect),
        Just(Presence::Evacuating)
    ];
    prop_oneof![
        2 => p.clone().prop_map(Op::Desire),
        1 => p.clone().prop_map(Op::Undesire),
        3 => (p.clone(), i.clone()).prop_map(|(p, i)| Op::Want(p, i)),
        4 => (p.clone(), i.clone(), 0u8..3).prop_map(|(p, i, c)| Op::Claim(p, i, c)),
        4 => (p.clone(), i.clone()).prop_map(|(p, i)| Op::Start(p, i)),
        3 => (p.clone(), i.clone()).prop_map(|(p, i)| Op::Crash(p, i)),
        3 => (p.clone(), i.clone(), presence).prop_map(|(p, i, at)| Op::Stop(p, i, at)),
        2 => (p.clone(), i.clone()).prop_map(|(p, i)| Op::Evacuate(p, i)),
        2 => (p.clone(), i.clone()).prop_map(|(p, i)| Op::Suspect(p, i)),
        2 => (p, i).prop_map(|(p, i)| Op::Return(p, i)),
        1 => (0u8..6).prop_map(Op::RunTask),
        1 => (0u8..6).prop_map(Op::EndTask),
    ]
}

fn acts(cuts: u32) -> impl Strategy<Value = Vec<Act>> {
    let stream = prop_oneof![Just(Stream::Lrps), Just(Stream::Tasks)];
    let act = prop_oneof![
        10 => op().prop_map(Act::Op),
        // Mostly in order, sometimes from further behind.
        6 => (prop_oneof![Just(0usize), 0usize..4], prop::bool::weighted(0.1))
            .prop_map(|(nth, twice)| Act::Deliver(nth, twice)),
        3 => (0usize..3).prop_map(Act::Read),
        4 => (0usize..3).prop_map(Act::Answer),
        cuts => stream.prop_map(Act::Cut),
        2 => (1u16..4000).prop_map(Act::Pass),
    ];
    prop::collection::vec(act, 0..150)
}

fn play(world: &mut World, acts: &[Act]) {
    for act in acts {
        match act {
            Act::Op(op) => world.act(op),
            Act::Deliver(nth, twice) => world.deliver(*nth, *twice),
            Act::Read(nth) => world.read(*nth),
            Act::Answer(nth) => world.answer(*nth),
            Act::Cut(stream) => world.cut(*stream),
            Act::Pass(millis) => {
                world.now += Duration::from_millis(u64::from(*millis) * 20);
                world.feed(Input::Tick);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Loss is always followed by the end of its stream and so by a listing.
    #[test]
    fn any_history_ends_in_the_true_set_of_containers(acts in acts(1)) {
        let mut world = World::new(Mode::Leading);
        play(&mut world, &acts);
        world.quiesce();
        prop_assert_eq!(world.held(), world.model.truth());
        world.resync();
        prop_assert_eq!(world.held(), world.model.truth());
        prop_assert!(world.sync.containers().eq(world.given.values()));
    }

    /// Without a cut no listing is needed: order and repetition of the events don't matter.
    #[test]
    fn swapped_and_doubled_events_alone_end_in_the_true_set(acts in acts(0)) {
        let mut world = World::synchronized(Mode::Leading);
        let listings = |world: &World| world.requests.iter().filter(|of| **of == Request::Actuals).count();
        let before = listings(&world);
        let short: Vec<Act> = acts.into_iter().filter(|act| !matches!(act, Act::Pass(_))).collect();
        play(&mut world, &short);
        world.quiesce();
        prop_assert_eq!(listings(&world), before);
        prop_assert_eq!(world.held(), world.model.truth());
    }

    /// Whoever has a desired record has its facts, and keeps them when the record goes.
    #[test]
    fn containers_carry_the_facts_of_their_records(acts in acts(1)) {
        let mut world = World::new(Mode::Leading);
        play(&mut world, &acts);
        world.quiesce();
        for container in world.given.values() {
            let Some((of, _)) = &container.process else { continue };
            let desired = world.model.desired.values().find(|desired| desired.process == *of);
            if let Some(desired) = desired {
                prop_assert_eq!(&container.facts, &desired.facts);
            }
        }
    }

    /// A standby that comes to lead knows everything after one cycle.
    #[test]
    fn a_standby_that_comes_to_lead_catches_up(acts in acts(1)) {
        let mut world = World::new(Mode::Standby);
        play(&mut world, &acts);
        world.quiesce();
        prop_assert!(!world.complete.contains(&Scope::Instances), "a standby vouches for nothing");
        prop_assert!(!world.requests.iter().any(|of| matches!(of, Request::Infos | Request::Desired(_))));
        world.feed(Input::Mode(Mode::Leading));
        world.quiesce();
        prop_assert_eq!(world.held(), world.model.truth());
    }
}

/// An app with one container that runs, on a synchronized machine.
fn running() -> World {
    let mut world = World::synchronized(Mode::Leading);
    for op in [Op::Desire(0), Op::Want(0, 0), Op::Claim(0, 0, 0), Op::Start(0, 0)] {
        world.act(&op);
    }
    world.quiesce();
    assert_eq!(world.given.len(), 1);
    world
}

fn only(world: &World) -> &Container {
    assert_eq!(world.given.len(), 1, "{:?}", world.given);
    world.given.values().next().unwrap()
}

#[test]
fn an_evacuated_container_is_the_same_container() {
    let mut world = running();
    let handle = only(&world).handle.clone();
    world.act(&Op::Evacuate(0, 0));
    let mut seen = Vec::new();
    while !world.wire.is_empty() {
        world.deliver(0, false);
        seen.push(world.given.contains_key(&handle));
    }
    assert!(seen.iter().all(|there| *there), "it never went away");
    assert_eq!(only(&world).presence, Presence::Evacuating);
    world.act(&Op::Claim(0, 0, 1));
    world.act(&Op::Start(0, 0));
    world.quiesce();
    assert_ne!(
        only(&world).handle,
        handle,
        "the replacement runs and the old one is gone"
    );
}

#[test]
fn a_suspect_stays_until_its_replacement_runs() {
    let mut world = running();
    let handle = only(&world).handle.clone();
    world.act(&Op::Suspect(0, 0));
    world.act(&Op::Claim(0, 0, 1));
    world.quiesce();
    assert_eq!(world.given.len(), 2, "two containers hold one index");
    assert_eq!(world.given[&handle].presence, Presence::Suspect);
    world.act(&Op::Start(0, 0));
    world.quiesce();
    assert_ne!(only(&world).handle, handle);
}

#[test]
fn a_suspect_that_comes_back_is_ordinary_again_in_either_order() {
    for swapped in [0, 1] {
        let mut world = running();
        world.act(&Op::Suspect(0, 0));
        world.quiesce();
        world.act(&Op::Return(0, 0));
        world.deliver(swapped, false);
        world.quiesce();
        assert_eq!(only(&world).presence, Presence::Ordinary);
    }
}

#[test]
fn a_claimed_container_is_given_out_at_once_even_during_a_listing() {
    let mut world = World::synchronized(Mode::Leading);
    world.act(&Op::Desire(0));
    world.quiesce();
    world.now += Duration::from_secs(70);
    world.feed(Input::Tick);
    assert_eq!(world.asked.len(), 1, "a listing is under way");
    world.act(&Op::Want(0, 0));
    world.act(&Op::Claim(0, 0, 0));
    world.deliver(0, false);
    world.deliver(0, false);
    assert!(!only(&world).running);
}

#[test]
fn an_instance_without_its_record_is_asked_for_and_given_with_what_its_row_says() {
    let mut world = running();
    world.act(&Op::Undesire(0));
    world.quiesce();
    assert_eq!(only(&world).facts, Some(facts(0)), "what it was given stays");

    let mut fresh = World::new(Mode::Leading);
    let makeshift = Arc::new(Facts {
        snat: SnatPool::Unknown,
        ..(*facts(0)).clone()
    });
    fresh.model = std::mem::take(&mut world.model);
    for row in fresh.model.rows.values_mut() {
        row.actual.fallback = Some(makeshift.clone());
    }
    fresh.quiesce();
    assert!(fresh.requests.contains(&Request::Desired(vec![process(0)])));
    assert_eq!(only(&fresh).facts, Some(makeshift));
    fresh.act(&Op::Desire(0));
    fresh.quiesce();
    assert_eq!(only(&fresh).facts, Some(facts(0)), "the record itself says more");
}

#[test]
fn a_stale_domain_freezes_absence() {
    let mut world = running();
    world.vouched = false;
    world.complete.clear();
    world.model.rows.clear();
    world.resync();
    assert_eq!(world.given.len(), 1);
    assert!(!world.complete.contains(&Scope::Instances));
    assert!(
        world.complete.contains(&Scope::Staging),
        "nobody ever vouches for staging"
    );
    world.vouched = true;
    world.resync();
    assert_eq!(world.given.len(), 0);
}

#[test]
fn a_failed_listing_changes_nothing_and_is_repeated() {
    let mut world = running();
    world.now += Duration::from_secs(70);
    world.feed(Input::Tick);
    world.answer(0);
    world.answer(0);
    let (ticket, request, _) = world.asked.pop().unwrap();
    assert_eq!(request, Request::Infos);
    world.feed(Input::Failed(ticket));
    assert_eq!(world.given.len(), 1);
    world.quiesce();
    assert!(world.sync.is_synchronized());
}

#[test]
fn full_records_are_read_once_and_in_batches() {
    let mut world = World::new(Mode::Leading);
    world.sync = BbsSync::new(
        SyncOptions {
            batch: 2,
            ..Default::default()
        },
        Mode::Leading,
    );
    world.asked.clear();
    world.requests.clear();
    (0..5).for_each(|p| world.model.apply(&Op::Desire(p)));
    world.feed(Input::Tick);
    world.quiesce();
    let batches = |world: &World| -> Vec<usize> {
        let size = |of: &Request| match of {
            Request::Desired(asked) => Some(asked.len()),
            _ => None,
        };
        world.requests.iter().filter_map(size).collect()
    };
    assert_eq!(batches(&world), [2, 2, 1]);
    world.resync();
    world.cut(Stream::Lrps);
    world.quiesce();
    assert_eq!(batches(&world), [2, 2, 1], "nothing is read twice");
    world.model.apply(&Op::Undesire(3));
    world.model.apply(&Op::Desire(3));
    world.model.emitted.clear();
    world.resync();
    assert_eq!(batches(&world), [2, 2, 1, 1], "but a new epoch is");
}

#[test]
fn a_stream_that_says_nothing_while_things_change_is_opened_anew() {
    let mut world = running();
    let opened = |world: &World| {
        world
            .requests
            .iter()
            .filter(|of| matches!(of, Request::Open(Stream::Lrps)))
            .count()
    };
    world.resync();
    assert_eq!(opened(&world), 1);
    world.act(&Op::Want(0, 1));
    world.act(&Op::Claim(0, 1, 0));
    world.wire.clear();
    world.resync();
    assert_eq!(world.given.len(), 2);
    assert_eq!(opened(&world), 2);
}

#[test]
fn two_rows_in_one_place_are_read_unless_the_missing_event_comes() {
    let places = |world: &World| {
        world
            .requests
            .iter()
            .filter(|of| matches!(of, Request::Place(..)))
            .count()
    };
    for lost in [true, false] {
        let mut world = running();
        world.act(&Op::Stop(0, 0, Presence::Ordinary));
        let late = std::mem::take(&mut world.wire);
        world.act(&Op::Want(0, 0));
        world.act(&Op::Claim(0, 0, 1));
        world.deliver(0, false);
        world.deliver(0, false);
        assert_eq!(world.given.len(), 2, "nothing is dropped on suspicion");
        if !lost {
            world.wire = late;
        }
        world.quiesce();
        assert_eq!(only(&world).cell.as_str(), "cell-1");
        assert_eq!(places(&world), usize::from(lost));
    }
}

#[test]
fn an_order_to_stop_that_failed_is_put_right_by_the_next_listing() {
    let mut world = running();
    let row = world.model.row(0, 0, Presence::Ordinary).unwrap();
    world.model.gone(&row);
    world.act(&Op::Desire(1));
    world.quiesce();
    assert_eq!(world.given.len(), 0);
    world.resync();
    assert_eq!(world.given.len(), 1);
}
