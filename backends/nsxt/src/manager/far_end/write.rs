//! Makes, changes and removes single rows.

use ncp_core::code::Code;
use ncp_core::dialect::{Attributes, Batch, Failure, Outcome, RowKey, Step, StepId};
use serde_json::{Value, json};

use super::outcome::{Deed, code, is_content, outcome};
use super::{NsxFarEnd, paths, refused};
use crate::manager::body::Body;
use crate::manager::dialect::{Manager, Op};
use crate::manager::json::{bare, decode, encode, id, list, overlay, text};
use crate::manager::part::{Handle, Part};
use crate::transport::{Class, Deadline, TransportError};

type Key = RowKey<Part>;

impl NsxFarEnd {
    pub(super) async fn write_batch(
        &self,
        batch: Batch<Manager>,
        fence: Deadline,
    ) -> Vec<(StepId, Outcome<Manager>)> {
        match batch.steps.first().map(|step| &step.op) {
            Some(Op::Make(Body::Section { .. })) => self.make_section(batch.steps, fence).await,
            Some(Op::Make(Body::Rule(_))) => self.make_rules(batch.steps, fence).await,
            _ => {
                let mut outcomes = Vec::with_capacity(batch.steps.len());
                for step in batch.steps {
                    outcomes.push((step.id, self.write_step(&step, fence).await));
                }
                outcomes
            }
        }
    }

    async fn write_step(&self, step: &Step<Manager>, fence: Deadline) -> Outcome<Manager> {
        let key = &step.key;
        match &step.op {
            Op::Make(body) => match body {
                Body::Claim { pool, project } => self.claim(key, None, pool.as_ref(), project, fence).await,
                Body::Member { group, member } => self.add_member(key, group, member, body, fence).await,
                Body::IpSubnet { routed, .. } => self.make_subnet(key, *routed, body, fence).await,
                Body::Advertisement { router } => {
                    let handle = Handle::Advertisement(handle_id(router));
                    self.change(key, &handle, body, fence).await
                }
                _ => self.make(key, body, fence).await,
            },
            Op::Change(handle, body) => match body {
                Body::Claim { pool, project } => {
                    self.claim(key, Some(handle), pool.as_ref(), project, fence).await
                }
                Body::Member { group, member } => self.add_member(key, group, member, body, fence).await,
                Body::IpSubnet { .. } | Body::Found => refused(unchangeable(key)),
                _ => self.change(key, handle, body, fence).await,
            },
            Op::Remove(handle) => self.remove(key, handle, fence).await,
        }
    }

    async fn make(&self, key: &Key, body: &Body<Handle>, fence: Deadline) -> Outcome<Manager> {
        let path = paths::list(self.env(), key.part);
        let encoded = bare(encode(self.env(), key, body));
        match self.api.post(&path, &[], Some(&encoded), fence).await {
            Ok(answer) => self.made(key, answer.value()),
            Err(error) => outcome(key, Deed::Make, &error),
        }
    }

    /// The row as the answer to its making shows it.
    pub(super) fn made(&self, key: &Key, answer: Result<Value, TransportError>) -> Outcome<Manager> {
        match answer {
            Ok(object) if !text(&object, "id").is_empty() => {
                let handle = paths::handle(key.part, id(&object));
                Outcome::Done(decode(self.env(), key, None, &object).seen(handle))
            }
            // It was made, and what it is called is not known.
            _ => Outcome::Uncertain,
        }
    }

    /// A subnet from the first block that has room.
    async fn make_subnet(
        &self,
        key: &Key,
        routed: bool,
        body: &Body<Handle>,
        fence: Deadline,
    ) -> Outcome<Manager> {
        let blocks = self.env().blocks(routed);
        for block in blocks {
            let mut encoded = encode(self.env(), key, body);
            encoded["block_id"] = json!(block.id);
            match self
                .api
                .post("/pools/ip-subnets", &[], Some(&encoded), fence)
                .await
            {
                Ok(answer) => return self.made(key, answer.value()),
                // A full block is a "conflict", whose status and code no document gives.
                Err(error) if matches!(error.class(), Class::Conflict | Class::Exhausted) => {
                    tracing::info!(block = %block.id, %error, "the block has no room");
                }
                Err(error) => return outcome(key, Deed::Make, &error),
            }
        }
        let names: Vec<String> = blocks.iter().map(|b| format!("{} ({})", b.id, b.cidr)).collect();
        let message = format!("{key}: no room for a subnet in {}", names.join(", "));
        refused(Failure::new(Code::IpBlockExhausted, message))
    }

    /// Reads, lays the managed fields over what is there, and writes it back.
    async fn change(
        &self,
        key: &Key,
        handle: &Handle,
        body: &Body<Handle>,
        fence: Deadline,
    ) -> Outcome<Manager> {
        let path = paths::object(self.env(), key.part, handle);
        let mut attempts = 0;
        loop {
            let read = match self.get(&path).await {
                Ok(Some(read)) => read,
                Ok(None) => return Outcome::Stale,
                Err(error) => return unread(key, &error),
            };
            let encoded = encode(self.env(), key, body);
            let changed = overlay(&read, encoded, key.part == Part::Port);
            let answer = match self.moved(body, &read) {
                Some(place) => {
                    let query: Vec<(&str, &str)> = place.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    self.api.post(&path, &query, Some(&changed), fence).await
                }
                None => self.api.put(&path, &[], &changed, fence).await,
            };
            match answer {
                Ok(answer) => return self.changed(key, handle, body, answer.value()),
                Err(error) if is_stale(&error) && attempts < self.api.options().retries => attempts += 1,
                Err(error) => return outcome(key, Deed::Change, &error),
            }
        }
    }

    fn changed(
        &self,
        key: &Key,
        handle: &Handle,
        body: &Body<Handle>,
        answer: Result<Value, TransportError>,
    ) -> Outcome<Manager> {
        let parent = match body {
            Body::Rule(rule) => Some(&rule.section),
            Body::Advertisement { router } => Some(router),
            _ => None,
        };
        match answer {
            Ok(object) => Outcome::Done(decode(self.env(), key, parent, &object).seen(handle.clone())),
            Err(_) => Outcome::Uncertain,
        }
    }

    async fn add_member(
        &self,
        key: &Key,
        group: &Handle,
        member: &Handle,
        body: &Body<Handle>,
        fence: Deadline,
    ) -> Outcome<Manager> {
        let handle = Handle::Member {
            group: handle_id(group),
            member: handle_id(member),
        };
        let done = Outcome::Done(Manager::seen(handle.clone(), body, Attributes::default()));
        let members = encode(self.env(), key, body);
        match self.members(&handle, "ADD_MEMBERS", &members, fence).await {
            Ok(()) => done,
            Err(error) if is_content(&error) => match self.member(&handle).await {
                Ok(Some(_)) => done,
                Ok(None) => outcome(key, Deed::Change, &error),
                Err(error) => unread(key, &error),
            },
            Err(error) => outcome(key, Deed::Change, &error),
        }
    }

    async fn members(
        &self,
        handle: &Handle,
        action: &str,
        members: &Value,
        fence: Deadline,
    ) -> Result<(), TransportError> {
        let path = paths::object(self.env(), Part::Member, handle);
        let answer = self
            .api
            .post(&path, &[("action", action)], Some(members), fence)
            .await;
        answer.map(|_| ())
    }

    /// The member as the group has it, if it has it. By which code a member that is there already, or
    /// not there, is refused is not published.
    async fn member(&self, handle: &Handle) -> Result<Option<Value>, TransportError> {
        let Handle::Member { member, .. } = handle else {
            return Ok(None);
        };
        let group = self.get(&paths::object(self.env(), Part::Member, handle)).await?;
        let member = member.to_string();
        let members = group.as_ref().map_or(&[][..], |g| list(g, "members"));
        Ok(members.iter().find(|m| text(m, "value") == member).cloned())
    }

    async fn remove(&self, key: &Key, handle: &Handle, fence: Deadline) -> Outcome<Manager> {
        let query: &[(&str, &str)] = match key.part {
            // Goes with its router.
            Part::Advertisement => return Outcome::Gone,
            Part::Parent | Part::Pool => return refused(not_ours(key)),
            Part::Claim => return self.release(key, handle, fence).await,
            Part::Member => return self.remove_member(key, handle, fence).await,
            // Containers' ports are attached to the end.
            Part::Port => &[("detach", "true")],
            Part::Section => &[("cascade", "true")],
            _ => &[],
        };
        let path = paths::object(self.env(), key.part, handle);
        match self.api.delete(&path, query, fence).await {
            Ok(_) => Outcome::Gone,
            Err(error) => outcome(key, Deed::Remove, &error),
        }
    }

    /// Removes a member as the group has it: one put there by others may be of another kind.
    async fn remove_member(&self, key: &Key, handle: &Handle, fence: Deadline) -> Outcome<Manager> {
        let member = match self.member(handle).await {
            Ok(Some(member)) => member,
            Ok(None) => return Outcome::Gone,
            Err(error) => return unread(key, &error),
        };
        let members = json!({ "members": [bare(member)] });
        match self.members(handle, "REMOVE_MEMBERS", &members, fence).await {
            Ok(()) => Outcome::Gone,
            Err(error) if is_content(&error) => match self.member(handle).await {
                Ok(None) => Outcome::Gone,
                Ok(Some(_)) => outcome(key, Deed::Remove, &error),
                Err(error) => unread(key, &error),
            },
            Err(error) => outcome(key, Deed::Remove, &error),
        }
    }
}

pub(super) fn is_stale(error: &TransportError) -> bool {
    matches!(error.class(), Class::StaleRevision | Class::Conflict)
}

/// What a failed read before a write means for the step: nothing was written.
pub(super) fn unread(key: &Key, error: &TransportError) -> Outcome<Manager> {
    match outcome(key, Deed::Change, error) {
        Outcome::Refused(failure) => Outcome::Refused(failure),
        _ => Outcome::NotSent(super::outcome::unreachable(error)),
    }
}

/// The id in the handle of an object.
pub(super) fn handle_id(handle: &Handle) -> ncp_core::id::Name {
    crate::manager::json::id_text(handle).as_str().into()
}

fn unchangeable(key: &Key) -> Failure {
    let message = format!("{key}: NSX can't change it in place; it is replaced once nothing uses it");
    Failure::new(code(key.part, Deed::Change), message)
}

fn not_ours(key: &Key) -> Failure {
    let message = format!("{key}: made by others, so it is left as it is; remove what is too many by hand");
    Failure::new(code(key.part, Deed::Remove), message)
}
