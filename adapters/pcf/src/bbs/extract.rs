//! From Diego's messages to this crate's records.
//!
//! Where what is found follows Cloud Controller's recipes (`lib/cloud_controller/diego` in
//! `cloud_controller_ng`): identity in the network properties, names in the metric tags, the app's
//! environment in the run actions of the action tree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use diego_wire::bbs::{self, Action, RunAction};
use diego_wire::event::BbsEvent;
use diego_wire::lrp;

use super::record::{
    Actual, Cell, Container, Desired, Event, Facts, Info, Kind, Names, Presence, SnatPool, Stage, Tag,
    TaskRow,
};
use crate::codes;

/// The variable by which an app chooses its outside address pool (guide, R-SNAT-30 and following).
pub const SNAT_VARIABLE: &str = "NCP_SNAT_POOL";

/// Why a record is not used. Holds no part of the record but its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Another user of a shared Diego.
    #[error("{what} {key} belongs to domain {domain:?}, which isn't Cloud Foundry's; left alone")]
    Domain {
        /// Kind of record.
        what: &'static str,
        /// Its key.
        key: String,
        /// The domain.
        domain: String,
    },
    /// A record without its key or other indispensable parts.
    #[error("an event or list of the BBS holds {what} without {missing}; left alone")]
    Incomplete {
        /// Kind of record.
        what: &'static str,
        /// What it lacks.
        missing: &'static str,
    },
    /// An event that its stream doesn't carry.
    #[error("the stream carries event {0}, which it shouldn't; left alone")]
    Event(&'static str),
}

impl Unusable {
    /// The guide's code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Domain { .. } => codes::UNKNOWN_DOMAIN,
            Self::Incomplete { .. } => codes::UNEXPECTED_EVENT_INSTANCE,
            Self::Event(_) => codes::UNEXPECTED_EVENT_TYPE,
        }
    }
}

/// Reduces an event. `None` for one that says nothing new.
pub(crate) fn event(event: BbsEvent) -> Result<Option<Event>, Unusable> {
    let of = |missing| Unusable::Incomplete {
        what: "an event",
        missing,
    };
    Ok(Some(match event {
        BbsEvent::DesiredCreated(e) => Event::Desired(desired(e.desired_lrp.ok_or(of("its record"))?)?),
        BbsEvent::DesiredChanged(e) => Event::Desired(desired(e.after.ok_or(of("its record"))?)?),
        BbsEvent::DesiredRemoved(e) => {
            let gone = e.desired_lrp.ok_or(of("its record"))?;
            Event::DesiredGone(Info {
                process: key(&gone.process_guid, "a desired LRP")?.into(),
                tag: tag(gone.modification_tag),
            })
        }
        BbsEvent::InstanceCreated(e) => {
            Event::Actual(Box::new(actual(e.actual_lrp.ok_or(of("its record"))?)?), None)
        }
        BbsEvent::InstanceRemoved(e) => {
            Event::ActualGone(Box::new(actual(e.actual_lrp.ok_or(of("its record"))?)?))
        }
        BbsEvent::InstanceChanged(e) => {
            let before = e.before.map(|before| presence(before.presence));
            let mut row = bbs::ActualLrp::default();
            row.apply(
                e.actual_lrp_key.unwrap_or_default(),
                e.actual_lrp_instance_key.unwrap_or_default(),
                e.after.ok_or(of("its record"))?,
            );
            Event::Actual(Box::new(actual(row)?), before)
        }
        // An addition to a change that is reported on its own.
        BbsEvent::Crashed(_) => return Ok(None),
        BbsEvent::TaskCreated(e) => Event::Task(task(e.task.ok_or(of("its record"))?)?),
        BbsEvent::TaskChanged(e) => Event::Task(task(e.after.ok_or(of("its record"))?)?),
        BbsEvent::TaskRemoved(e) => {
            let gone = e.task.ok_or(of("its record"))?;
            Event::TaskGone(key(&gone.task_guid, "a task")?.into())
        }
        other => return Err(Unusable::Event(other.name())),
    }))
}

pub(crate) fn desired(record: bbs::DesiredLrp) -> Result<Desired, Unusable> {
    let process = key(&record.process_guid, "a desired LRP")?;
    in_domain(&record.domain, &[lrp::DOMAIN_APPS], "desired LRP", process)?;
    let properties = record
        .network
        .map(|network| network.properties)
        .unwrap_or_default();
    let snat = record.action.as_ref().map_or(SnatPool::Unset, snat_of_process);
    Ok(Desired {
        process: process.into(),
        tag: tag(record.modification_tag),
        facts: facts(
            &properties.into_iter().collect(),
            &fixed(record.metric_tags),
            snat,
            &record.ports,
            &record.log_guid,
        ),
    })
}

pub(crate) fn info(record: bbs::DesiredLrpSchedulingInfo) -> Option<Info> {
    let process = record.desired_lrp_key?.process_guid;
    (!process.is_empty()).then(|| Info {
        process: process.into(),
        tag: tag(record.modification_tag),
    })
}

pub(crate) fn actual(record: bbs::ActualLrp) -> Result<Actual, Unusable> {
    let of = record.actual_lrp_key.unwrap_or_default();
    let process = key(&of.process_guid, "an instance")?;
    in_domain(&of.domain, &[lrp::DOMAIN_APPS], "instance of", process)?;
    let instance = record.actual_lrp_instance_key.unwrap_or_default();
    // A waiting or crashed row may still name the container it had.
    let has_container = !matches!(record.state.as_str(), lrp::UNCLAIMED | lrp::CRASHED)
        && !instance.instance_guid.is_empty()
        && !instance.cell_id.is_empty();
    let tags = record.metric_tags.into_iter().collect();
    Ok(Actual {
        process: process.into(),
        index: of.index,
        tag: tag(record.modification_tag),
        presence: presence(record.presence),
        container: has_container.then(|| (instance.instance_guid.into(), instance.cell_id.into())),
        running: record.state == lrp::RUNNING,
        since: record.since,
        fallback: facts(&HashMap::new(), &tags, SnatPool::Unknown, &[], ""),
    })
}

pub(crate) fn task(record: bbs::Task) -> Result<TaskRow, Unusable> {
    use bbs::task::State;
    let handle = key(&record.task_guid, "a task")?;
    in_domain(
        &record.domain,
        &[lrp::DOMAIN_TASKS, lrp::DOMAIN_STAGING],
        "task",
        handle,
    )?;
    let kind = if record.domain == lrp::DOMAIN_STAGING {
        Kind::Staging
    } else {
        Kind::Task
    };
    let stage = match State::try_from(record.state) {
        Ok(State::Running) if !record.cell_id.is_empty() => Stage::Running,
        Ok(State::Completed | State::Resolving) => Stage::Over,
        _ => Stage::Waiting,
    };
    Ok(TaskRow {
        handle: handle.into(),
        kind,
        stage,
        cell: record.cell_id.into(),
        updated: record.updated_at,
        facts: record
            .task_definition
            .and_then(|definition| task_facts(definition, kind)),
    })
}

fn task_facts(definition: bbs::TaskDefinition, kind: Kind) -> Option<Arc<Facts>> {
    let properties = definition
        .network
        .map(|network| network.properties)
        .unwrap_or_default();
    // Staging containers leave by their organization's address.
    let snat = match (kind, &definition.action) {
        (Kind::Task, Some(action)) => action
            .run_actions()
            .first()
            .map_or(SnatPool::Unset, |run| snat(run)),
        _ => SnatPool::Unset,
    };
    facts(
        &properties.into_iter().collect(),
        &fixed(definition.metric_tags),
        snat,
        &[],
        &definition.log_guid,
    )
}

pub(crate) fn cell(record: bbs::CellPresence) -> Option<Cell> {
    (!record.cell_id.is_empty()).then(|| Cell {
        id: record.cell_id.into(),
        rep_address: record.rep_address,
        zone: record.zone,
    })
}

/// The container of a task that runs.
pub(crate) fn task_container(row: &TaskRow) -> Container {
    Container {
        handle: row.handle.clone(),
        kind: row.kind,
        cell: row.cell.clone(),
        process: None,
        presence: Presence::Ordinary,
        running: true,
        since: row.updated,
        facts: row.facts.clone(),
    }
}

/// Identity from the network properties, the metric tags filling in. Without space and organization
/// there is nothing to place.
fn facts(
    properties: &HashMap<String, String>,
    tags: &HashMap<String, String>,
    snat: SnatPool,
    ports: &[u32],
    log_guid: &str,
) -> Option<Arc<Facts>> {
    let filled = |value: Option<&String>| value.filter(|text| !text.is_empty()).cloned();
    let either =
        |property: &str, tag: &str| filled(properties.get(property)).or_else(|| filled(tags.get(tag)));
    let name = |tag: &str| filled(tags.get(tag)).map(Arc::from);
    let app = either(lrp::APP_ID, "app_id");
    let policy_group = filled(properties.get(lrp::POLICY_GROUP_ID))
        .or_else(|| app.clone().filter(|_| properties.is_empty()));
    let mut ports: Vec<u16> = ports
        .iter()
        .filter_map(|port| u16::try_from(*port).ok())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    Some(Arc::new(Facts {
        space: either(lrp::SPACE_ID, "space_id")?.into(),
        org: either(lrp::ORG_ID, "organization_id")?.into(),
        app: app.map(Into::into),
        policy_group: policy_group.map(Into::into),
        names: Names {
            app: name("app_name"),
            space: name("space_name"),
            org: name("organization_name"),
        },
        snat,
        ports,
        log_guid: log_guid.into(),
    }))
}

/// Of an LRP's programs the launcher carries the app's environment; sidecars and the SSH daemon carry
/// copies. Another kind of LRP has it in its first program.
fn snat_of_process(action: &Action) -> SnatPool {
    let runs = action.run_actions();
    let launcher = runs
        .iter()
        .find(|run| run.path == lrp::LAUNCHER_PATH && !run.log_source.contains("/SIDECAR/"));
    launcher.or(runs.first()).map_or(SnatPool::Unset, |run| snat(run))
}

/// A name may occur twice; the later entry counts.
fn snat(run: &RunAction) -> SnatPool {
    let value = run
        .env
        .iter()
        .rev()
        .find(|variable| variable.name == SNAT_VARIABLE);
    let text = value.map(|variable| String::from_utf8_lossy(&variable.value));
    match text.as_deref().map(str::trim) {
        None | Some("") => SnatPool::Unset,
        Some(pool) => SnatPool::Named(pool.into()),
    }
}

fn fixed(tags: BTreeMap<String, bbs::MetricTagValue>) -> HashMap<String, String> {
    tags.into_iter()
        .map(|(name, value)| (name, value.r#static))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

fn key<'a>(guid: &'a str, what: &'static str) -> Result<&'a str, Unusable> {
    if guid.is_empty() {
        return Err(Unusable::Incomplete {
            what,
            missing: "a guid",
        });
    }
    Ok(guid)
}

fn in_domain(domain: &str, known: &[&str], what: &'static str, key: &str) -> Result<(), Unusable> {
    if known.contains(&domain) {
        return Ok(());
    }
    Err(Unusable::Domain {
        what,
        key: key.to_owned(),
        domain: domain.to_owned(),
    })
}

fn tag(tag: Option<bbs::ModificationTag>) -> Tag {
    let tag = tag.unwrap_or_default();
    Tag {
        epoch: tag.epoch.into(),
        index: tag.index,
    }
}

fn presence(wire: i32) -> Presence {
    use bbs::Presence as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::Evacuating) => Presence::Evacuating,
        Ok(Wire::Suspect) => Presence::Suspect,
        _ => Presence::Ordinary,
    }
}
