//! Lists and single records: one protobuf message in, one out, always with status 200.

use std::collections::BTreeMap;
use std::time::Duration;

use diego_wire::bbs::{
    ActualLrPsByProcessGuidsRequest, ActualLrPsByProcessGuidsResponse, ActualLrPsRequest, ActualLrPsResponse,
    ActualLrp, ActualLrpGroup, ActualLrpGroupByProcessGuidAndIndexRequest, ActualLrpGroupResponse,
    ActualLrpGroupsByProcessGuidRequest, ActualLrpGroupsRequest, ActualLrpGroupsResponse, CellsResponse,
    DesiredLrPsRequest, DesiredLrPsResponse, DesiredLrp, DesiredLrpByProcessGuidRequest, DesiredLrpKey,
    DesiredLrpResource, DesiredLrpResponse, DesiredLrpSchedulingInfo,
    DesiredLrpSchedulingInfoByProcessGuidResponse, DesiredLrpSchedulingInfosResponse, DomainsResponse, Error,
    PingResponse, Task, TaskByGuidRequest, TaskResponse, TasksRequest, TasksResponse, UpsertDomainRequest,
    UpsertDomainResponse, error,
};
use diego_wire::routes;
use prost::Message;
use tokio::time::Instant;

use crate::faults::FaultKind;
use crate::model::World;
use crate::model::cells::CellState;
use crate::web::{Reply, Request};

fn reply(message: &impl Message) -> Reply {
    Reply::new(200, routes::PROTOBUF, message.encode_to_vec())
}

fn failure(kind: error::Type, message: &str) -> Option<Error> {
    Some(Error {
        r#type: kind as i32,
        message: message.to_owned(),
    })
}

fn not_found() -> Option<Error> {
    failure(
        error::Type::ResourceNotFound,
        "the requested resource could not be found",
    )
}

/// Decodes a request; what is no protobuf is answered with an error in `error` (field 1 of every response).
fn decode<M: Message + Default>(request: &Request) -> Result<M, Reply> {
    M::decode(request.body.clone()).map_err(|_| {
        reply(&UpsertDomainResponse {
            error: failure(error::Type::InvalidRequest, "invalid request"),
        })
    })
}

pub(super) fn answer(world: &mut World, request: &Request) -> Reply {
    route(world, request).unwrap_or_else(|refusal| refusal)
}

fn route(world: &mut World, request: &Request) -> Result<Reply, Reply> {
    let cut = Cut(request.fault);
    Ok(match request.path.as_str() {
        routes::PING => reply(&PingResponse { available: true }),
        routes::DOMAINS => reply(&DomainsResponse {
            error: None,
            domains: world.diego.fresh_domains(),
        }),
        routes::UPSERT_DOMAIN => upsert_domain(world, &decode(request)?),
        routes::DESIRED_LRPS | routes::DESIRED_LRPS_R2 => desired(world, &decode(request)?, cut),
        routes::DESIRED_LRP | routes::DESIRED_LRP_R2 => one_desired(world, &decode(request)?),
        routes::SCHEDULING_INFOS => scheduling_infos(world, &decode(request)?, cut),
        routes::SCHEDULING_INFO => one_scheduling_info(world, &decode(request)?),
        routes::ROUTING_INFOS => routing_infos(world, &decode(request)?),
        routes::ACTUAL_LRPS => actual(world, &decode(request)?, cut),
        routes::ACTUAL_LRPS_BY_PROCESS_GUIDS => actual_of(world, &decode(request)?),
        routes::TASKS | routes::TASKS_R2 => tasks(world, &decode(request)?, cut),
        routes::TASK | routes::TASK_R2 => one_task(world, &decode(request)?),
        routes::CELLS => cells(world),
        routes::ACTUAL_LRP_GROUPS => groups(world, &decode(request)?),
        routes::ACTUAL_LRP_GROUPS_BY_PROCESS_GUID => groups_of(world, &decode(request)?),
        _ => one_group(world, &decode(request)?),
    })
}

/// The list faults: nothing, or half and an error.
#[derive(Clone, Copy)]
struct Cut(Option<FaultKind>);

impl Cut {
    fn apply<T>(self, mut rows: Vec<T>) -> (Option<Error>, Vec<T>) {
        match self.0 {
            Some(FaultKind::EmptyList) => (None, Vec::new()),
            Some(FaultKind::PartialList) => {
                rows.truncate(rows.len() / 2);
                (
                    failure(error::Type::UnknownError, "the list is not complete"),
                    rows,
                )
            }
            _ => (None, rows),
        }
    }
}

fn within(domain: &str, wanted: &str) -> bool {
    wanted.is_empty() || domain == wanted
}

fn upsert_domain(world: &mut World, request: &UpsertDomainRequest) -> Reply {
    let until = (request.ttl > 0).then(|| Instant::now() + Duration::from_secs(request.ttl.into()));
    world.diego.domains.insert(request.domain.clone(), until);
    reply(&UpsertDomainResponse { error: None })
}

/// The records a request selects. With guids each is looked up, so that a batch costs its own size.
fn select<'a>(world: &'a World, request: &DesiredLrPsRequest) -> Vec<&'a DesiredLrp> {
    let all = &world.diego.desired;
    let mut found: Vec<&DesiredLrp> = if request.process_guids.is_empty() {
        all.values().collect()
    } else {
        let guids: std::collections::BTreeSet<_> = request.process_guids.iter().collect();
        guids.into_iter().filter_map(|guid| all.get(guid)).collect()
    };
    found.retain(|desired| within(&desired.domain, &request.domain));
    found
}

fn desired(world: &World, request: &DesiredLrPsRequest, cut: Cut) -> Reply {
    let prefixes = &request.app_guids;
    let prefixed = |desired: &&DesiredLrp| {
        !world.age.is_newest()
            || prefixes.is_empty()
            || prefixes.iter().any(|guid| desired.process_guid.starts_with(guid))
    };
    let rows = select(world, request)
        .into_iter()
        .filter(prefixed)
        .cloned()
        .collect();
    let (error, desired_lrps) = cut.apply(rows);
    reply(&DesiredLrPsResponse { error, desired_lrps })
}

fn one_desired(world: &World, request: &DesiredLrpByProcessGuidRequest) -> Reply {
    let desired_lrp = world.diego.desired.get(&request.process_guid).cloned();
    let error = if desired_lrp.is_none() { not_found() } else { None };
    reply(&DesiredLrpResponse { error, desired_lrp })
}

fn scheduling_info(desired: &DesiredLrp) -> DesiredLrpSchedulingInfo {
    DesiredLrpSchedulingInfo {
        desired_lrp_key: Some(DesiredLrpKey {
            process_guid: desired.process_guid.clone(),
            domain: desired.domain.clone(),
            log_guid: desired.log_guid.clone(),
        }),
        annotation: desired.annotation.clone(),
        instances: desired.instances,
        desired_lrp_resource: Some(DesiredLrpResource {
            memory_mb: desired.memory_mb,
            disk_mb: desired.disk_mb,
            root_fs: desired.root_fs.clone(),
            max_pids: desired.max_pids,
        }),
        routes: Some(desired.routes.clone().unwrap_or_default()),
        modification_tag: Some(desired.modification_tag.clone().unwrap_or_default()),
        volume_placement: None,
        placement_tags: desired.placement_tags.clone(),
    }
}

/// `app_guids` is ignored here.
fn scheduling_infos(world: &World, request: &DesiredLrPsRequest, cut: Cut) -> Reply {
    let rows = select(world, request).into_iter().map(scheduling_info).collect();
    let (error, desired_lrp_scheduling_infos) = cut.apply(rows);
    reply(&DesiredLrpSchedulingInfosResponse {
        error,
        desired_lrp_scheduling_infos,
    })
}

fn one_scheduling_info(world: &World, request: &DesiredLrpByProcessGuidRequest) -> Reply {
    let found = world
        .diego
        .desired
        .get(&request.process_guid)
        .map(scheduling_info);
    let error = if found.is_none() { not_found() } else { None };
    reply(&DesiredLrpSchedulingInfoByProcessGuidResponse {
        error,
        desired_lrp_scheduling_info: found,
    })
}

/// Sparse records; only `process_guids` counts.
fn routing_infos(world: &World, request: &DesiredLrPsRequest) -> Reply {
    let request = DesiredLrPsRequest {
        process_guids: request.process_guids.clone(),
        ..Default::default()
    };
    let sparse = |desired: &DesiredLrp| DesiredLrp {
        process_guid: desired.process_guid.clone(),
        domain: desired.domain.clone(),
        log_guid: desired.log_guid.clone(),
        instances: desired.instances,
        routes: desired.routes.clone(),
        modification_tag: desired.modification_tag.clone(),
        metric_tags: desired.metric_tags.clone(),
        ..Default::default()
    };
    let desired_lrps = select(world, &request).into_iter().map(sparse).collect();
    reply(&DesiredLrPsResponse {
        error: None,
        desired_lrps,
    })
}

fn matches(record: &ActualLrp, domain: &str, cell: &str) -> bool {
    let on_cell = record
        .actual_lrp_instance_key
        .as_ref()
        .is_some_and(|key| key.cell_id == cell);
    record
        .actual_lrp_key
        .as_ref()
        .is_some_and(|key| within(&key.domain, domain))
        && (cell.is_empty() || on_cell)
}

fn actual(world: &World, request: &ActualLrPsRequest, cut: Cut) -> Reply {
    let keep = |record: &&ActualLrp| {
        matches(record, &request.domain, &request.cell_id)
            && request.index.is_none_or(|index| {
                record
                    .actual_lrp_key
                    .as_ref()
                    .is_some_and(|key| key.index == index)
            })
    };
    let rows = if request.process_guid.is_empty() {
        world.diego.actual.values().filter(keep).cloned().collect()
    } else {
        world
            .diego
            .records(&request.process_guid)
            .map(|(_, record)| record)
            .filter(keep)
            .cloned()
            .collect()
    };
    let (error, actual_lrps) = cut.apply(rows);
    reply(&ActualLrPsResponse { error, actual_lrps })
}

fn actual_of(world: &World, request: &ActualLrPsByProcessGuidsRequest) -> Reply {
    let error = if request.process_guids.is_empty() {
        failure(error::Type::InvalidRequest, "process_guids is empty")
    } else {
        None
    };
    let records = request
        .process_guids
        .iter()
        .flat_map(|guid| world.diego.records(guid));
    let actual_lrps = records.map(|(_, record)| record.clone()).collect();
    reply(&ActualLrPsByProcessGuidsResponse { error, actual_lrps })
}

fn tasks(world: &World, request: &TasksRequest, cut: Cut) -> Reply {
    let keep = |task: &&Task| {
        within(&task.domain, &request.domain)
            && (request.cell_id.is_empty() || task.cell_id == request.cell_id)
    };
    let (error, tasks) = cut.apply(world.diego.tasks.values().filter(keep).cloned().collect());
    reply(&TasksResponse { error, tasks })
}

fn one_task(world: &World, request: &TaskByGuidRequest) -> Reply {
    let task = world.diego.tasks.get(&request.task_guid).cloned();
    let error = if task.is_none() { not_found() } else { None };
    reply(&TaskResponse { error, task })
}

fn cells(world: &World) -> Reply {
    let present = world
        .diego
        .cells
        .iter()
        .filter(|cell| cell.state != CellState::Lost);
    reply(&CellsResponse {
        error: None,
        cells: present.map(|cell| cell.presence()).collect(),
    })
}

/// The deprecated view: a suspect record hides the ordinary one.
fn grouped<'a>(records: impl Iterator<Item = &'a ActualLrp>) -> Vec<ActualLrpGroup> {
    let mut groups: BTreeMap<(String, i32), ActualLrpGroup> = BTreeMap::new();
    for record in records {
        let Some(key) = &record.actual_lrp_key else {
            continue;
        };
        let group = groups.entry((key.process_guid.clone(), key.index)).or_default();
        match record.presence {
            1 => group.evacuating = Some(record.clone()),
            _ => group.instance = Some(record.clone()),
        }
    }
    groups.into_values().collect()
}

fn groups(world: &World, request: &ActualLrpGroupsRequest) -> Reply {
    let keep = |record: &&ActualLrp| matches(record, &request.domain, &request.cell_id);
    let actual_lrp_groups = grouped(world.diego.actual.values().filter(keep));
    reply(&ActualLrpGroupsResponse {
        error: None,
        actual_lrp_groups,
    })
}

fn groups_of(world: &World, request: &ActualLrpGroupsByProcessGuidRequest) -> Reply {
    let actual_lrp_groups = grouped(
        world
            .diego
            .records(&request.process_guid)
            .map(|(_, record)| record),
    );
    reply(&ActualLrpGroupsResponse {
        error: None,
        actual_lrp_groups,
    })
}

fn one_group(world: &World, request: &ActualLrpGroupByProcessGuidAndIndexRequest) -> Reply {
    let records = world
        .diego
        .records(&request.process_guid)
        .filter(|(key, _)| key.1 == request.index);
    let actual_lrp_group = grouped(records.map(|(_, record)| record)).pop();
    let error = if actual_lrp_group.is_none() {
        not_found()
    } else {
        None
    };
    reply(&ActualLrpGroupResponse {
        error,
        actual_lrp_group,
    })
}
