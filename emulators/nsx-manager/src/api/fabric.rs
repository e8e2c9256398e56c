//! Tags of virtual machines.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, ApiError, Call, Payload, Result};
use crate::kinds::{Kind, judge};
use crate::store::{Store, items, text};

/// Tags that users may put on a virtual machine.
const TAGS: usize = 10;

/// Replaces the tags of a machine.
pub(super) fn update_tags(store: &mut Store, call: &Call<'_>) -> Result<Answer> {
    if call.action() != "update_tags" {
        return call.not_allowed();
    }
    let sent = call.json()?;
    let body = judge(&[], &sent, None, store.version)?;
    if items(&body, "tags").len() > TAGS {
        return Err(ApiError::invalid(format!(
            "A virtual machine has at most {TAGS} tags."
        )));
    }
    let id = text(&sent, "external_id");
    let tags = body.get("tags").cloned().unwrap_or(json!([]));
    store.transact::<_, ApiError>(call.user, |tx| {
        let machine = tx.get(Kind::VirtualMachine, id)?;
        tx.touch(&machine, |body| {
            drop::<Option<Value>>(body.insert("tags".into(), tags))
        });
        Ok(())
    })?;
    Ok(Answer {
        status: StatusCode::NO_CONTENT,
        payload: Payload::Empty,
    })
}
