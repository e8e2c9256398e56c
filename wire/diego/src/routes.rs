//! Request paths of the BBS. All are `POST` but the two group streams.
//!
//! Revisions differ only in how downloads are described: a client asks for the newest and falls back on
//! a 404. What each platform age serves is in `docs/041-revisioning-bbs-api-endpoints.md` of the `bbs`
//! repository and in its history.

/// Liveness of the active BBS.
pub const PING: &str = "/v1/ping";
/// Domains whose content is complete.
pub const DOMAINS: &str = "/v1/domains/list";
/// Declares a domain complete for a time.
pub const UPSERT_DOMAIN: &str = "/v1/domains/upsert";
/// Full desired LRPs.
pub const DESIRED_LRPS: &str = "/v1/desired_lrps/list.r3";
/// Full desired LRPs, older revision.
pub const DESIRED_LRPS_R2: &str = "/v1/desired_lrps/list.r2";
/// One full desired LRP.
pub const DESIRED_LRP: &str = "/v1/desired_lrps/get_by_process_guid.r3";
/// One full desired LRP, older revision.
pub const DESIRED_LRP_R2: &str = "/v1/desired_lrps/get_by_process_guid.r2";
/// Desired LRPs without environment, network and egress rules.
pub const SCHEDULING_INFOS: &str = "/v1/desired_lrp_scheduling_infos/list";
/// One of those. Absent in 2019.
pub const SCHEDULING_INFO: &str = "/v1/desired_lrp_scheduling_infos/get_by_process_guid";
/// Desired LRPs with routes and metric tags only. Absent in 2019.
pub const ROUTING_INFOS: &str = "/v1/desired_lrp_routing_infos/list";
/// Instances.
pub const ACTUAL_LRPS: &str = "/v1/actual_lrps/list";
/// Instances of several desired LRPs. Absent in 2019.
pub const ACTUAL_LRPS_BY_PROCESS_GUIDS: &str = "/v1/actual_lrps/list_by_process_guids";
/// Tasks.
pub const TASKS: &str = "/v1/tasks/list.r3";
/// Tasks, older revision.
pub const TASKS_R2: &str = "/v1/tasks/list.r2";
/// One task.
pub const TASK: &str = "/v1/tasks/get_by_task_guid.r3";
/// One task, older revision.
pub const TASK_R2: &str = "/v1/tasks/get_by_task_guid.r2";
/// Cells that are present.
pub const CELLS: &str = "/v1/cells/list.r1";
/// Stream of desired LRP and instance events.
pub const LRP_INSTANCE_EVENTS: &str = "/v1/events/lrp_instances.r1";
/// The same, older revision.
pub const LRP_INSTANCE_EVENTS_R0: &str = "/v1/events/lrp_instances";
/// Stream of task events.
pub const TASK_EVENTS: &str = "/v1/events/tasks.r1";
/// The same, older revision.
pub const TASK_EVENTS_R0: &str = "/v1/events/tasks";
/// Deprecated stream of group events; `GET` with a body.
pub const GROUP_EVENTS: &str = "/v1/events.r1";
/// The same, older revision.
pub const GROUP_EVENTS_R0: &str = "/v1/events";
/// Deprecated groups.
pub const ACTUAL_LRP_GROUPS: &str = "/v1/actual_lrp_groups/list";
/// Deprecated groups of one desired LRP.
pub const ACTUAL_LRP_GROUPS_BY_PROCESS_GUID: &str = "/v1/actual_lrp_groups/list_by_process_guid";
/// One deprecated group.
pub const ACTUAL_LRP_GROUP: &str = "/v1/actual_lrp_groups/get_by_process_guid_and_index";

/// Content type of every request and response but streams.
pub const PROTOBUF: &str = "application/x-protobuf";
/// Content type of a stream.
pub const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
