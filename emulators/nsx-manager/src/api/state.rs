//! Realization as clients see it.

use http::Method;
use serde_json::{Value, json};

use super::{Answer, Call, Result};
use crate::kinds::Kind;
use crate::store::Store;

/// `/state` and `/status` of a port.
pub(super) fn port(store: &mut Store, call: &Call<'_>, id: &str, what: &str) -> Result<Answer> {
    if call.method != Method::GET {
        return call.not_allowed();
    }
    super::read(store, Kind::LogicalPort, id)?;
    let realized = store.realized().get(Kind::LogicalPort, id).cloned();
    if what == "status" {
        let up = realized
            .is_some_and(|port| port.text("admin_state") == "UP" && port.body.contains_key("attachment"));
        return Ok(Answer::json(
            json!({ "logical_port_id": id, "status": if up { "UP" } else { "DOWN" } }),
        ));
    }
    let bindings = realized
        .as_ref()
        .map_or(&[][..], |port| port.items("address_bindings"));
    let bindings: Vec<Value> = bindings
        .iter()
        .map(|binding| json!({ "binding": binding, "source": "USER_DEFINED" }))
        .collect();
    Ok(Answer::json(json!({
        "id": id, "realized_bindings": bindings, "discovered_bindings": [], "transport_node_ids": [],
    })))
}

/// `/state` of a switch.
pub(super) fn switch(store: &mut Store, call: &Call<'_>, id: &str) -> Result<Answer> {
    if call.method != Method::GET {
        return call.not_allowed();
    }
    super::read(store, Kind::LogicalSwitch, id)?;
    let done = store.realized().get(Kind::LogicalSwitch, id).is_some();
    let state = if done { "success" } else { "in_progress" };
    Ok(Answer::json(
        json!({ "logical_switch_id": id, "state": state, "details": [] }),
    ))
}
