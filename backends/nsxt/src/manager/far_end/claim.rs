//! Claims: an address of a pool that others may draw from too.
//!
//! NSX's allocations bear no name, so an answer lost in the middle of taking one would leave an address
//! that nobody owns. Therefore the address is first *written down* on an IP set of ours, which bears the
//! row's marks, and taken only then. The set's tag `ncp/claim` says how far it has come:
//!
//! ```text
//!            POST set, C, pending          ALLOCATE C               PUT held
//!  (none) ─────────────────────▶ pending ─────────────▶ (C is ours) ─────────▶ held
//!                                  ▲  │ C taken by another: PUT next candidate    │ no longer wanted:
//!                                  └──┘                                           │ PUT releasing
//!  (none) ◀──── DELETE set ──── (C is free) ◀──────── RELEASE C ──────── releasing ◀┘
//! ```
//!
//! A stop anywhere leaves a set that a read shows, and what then is doubtful is only whether C is
//! allocated to *us*:
//!
//! | set | C in the pool's allocations | then |
//! | --- | --- | --- |
//! | pending | no | go on with ALLOCATE |
//! | pending | yes, and another set names C | another's: next candidate |
//! | pending | yes, and the pool is this cluster's alone | ours: held |
//! | pending | yes, and others draw from the pool | may be either: kept as `ncp/suspect`, used by nobody; next candidate |
//! | releasing | no | delete the set |
//! | releasing | yes, another set names C | another's by now: delete the set |
//! | releasing | yes, the pool is ours alone | RELEASE, delete the set |
//! | releasing | yes, others draw from the pool | may be another's by now: reported, left allocated |
//!
//! So nothing leaks and nothing is used twice, but for one suspect address for each lost answer in a
//! pool that users draw from who write nothing down. Claims are made one at a time, so that two of one
//! leader's never have one candidate.

use std::net::Ipv4Addr;

use ncp_core::code::Code;
use ncp_core::dialect::{Failure, Outcome, RowKey};
use ncp_core::digest;
use ncp_core::id::ProjectId;
use serde_json::{Value, json};

use super::outcome::{Deed, describe, outcome};
use super::pool::Pool;
use super::write::{handle_id, is_stale, unread};
use super::{NsxFarEnd, paths};
use crate::manager::dialect::Manager;
use crate::manager::json::{Claimed, decode, encode_claim, id, overlay, text};
use crate::manager::part::{Handle, Part};
use crate::transport::{Class, Deadline, TransportError, escape_segment};

type Key = RowKey<Part>;
/// What ends a claim's progress for now. Boxed, since an outcome is large.
type Halt = Box<Outcome<Manager>>;

/// How often in one step another user may come first before the step is put off.
const MOST_LOST: usize = 16;

/// `error_code`s by which NSX says that an address is another's (NSX-T API guide, IPAM).
const TAKEN: [u64; 2] = [5123, 5141];
/// The address is not one of the pool's: its ranges were changed meanwhile.
const NOT_IN_POOL: u64 = 5110;

/// A claim on its way.
struct Claim<'a> {
    key: &'a Key,
    project: &'a ProjectId,
    fence: Deadline,
    /// The IP set, once it stands.
    set: Option<Handle>,
    suspects: Vec<Ipv4Addr>,
}

impl NsxFarEnd {
    /// Carries a claim on until it is held.
    pub(super) async fn claim(
        &self,
        key: &Key,
        set: Option<&Handle>,
        pool: Option<&Handle>,
        project: &ProjectId,
        fence: Deadline,
    ) -> Outcome<Manager> {
        let _turn = self.claims.lock().await;
        let pools: Vec<String> = match pool {
            Some(pool) => vec![handle_id(pool).to_string()],
            None => self.env().external_pools.iter().map(|p| p.to_string()).collect(),
        };
        let mut claim = Claim {
            key,
            project,
            fence,
            set: set.cloned(),
            suspects: Vec::new(),
        };
        let outcome = match self.carry_on(&mut claim, &pools).await {
            Ok(done) => done,
            Err(halt) => *halt,
        };
        match outcome {
            // The step as a whole did not succeed, but its first request did: the set that it made must be
            // seen, or the next attempt would make another.
            Outcome::NotSent(_) | Outcome::Refused(_) if set.is_none() && claim.set.is_some() => {
                Outcome::Uncertain
            }
            outcome => outcome,
        }
    }

    async fn carry_on(&self, claim: &mut Claim<'_>, pools: &[String]) -> Result<Outcome<Manager>, Halt> {
        if let Some(set) = claim.set.clone() {
            let read = self.read_set(claim.key, &set).await?;
            let Some(read) = read else {
                return Ok(Outcome::Stale);
            };
            if let Some(claimed) = Claimed::read(&read) {
                claim.suspects.clone_from(&claimed.suspects);
                if let Some(held) = self.resume(claim, &claimed, pools).await? {
                    return Ok(held);
                }
            }
        }
        self.begin(claim, pools).await
    }

    /// What becomes of a claim that stands already; `None`: another address is to be taken.
    async fn resume(
        &self,
        claim: &mut Claim<'_>,
        claimed: &Claimed,
        pools: &[String],
    ) -> Result<Option<Outcome<Manager>>, Halt> {
        let usable = pools.contains(&claimed.pool);
        match claimed.state.as_str() {
            Claimed::HELD if usable => self.hold(claim, claimed).await.map(Some),
            Claimed::PENDING if usable => {
                let Some(pool) = self.read_pool(claim.key, &claimed.pool).await? else {
                    return Ok(None);
                };
                if !pool.is_taken(claimed.address) {
                    return self.allocate(claim, &pool, claimed, true).await;
                }
                self.settle(claim, &pool, claimed).await
            }
            _ => {
                let set = claim.set.clone().unwrap_or(Handle::Riding);
                self.give_back(claim.key, &set, claimed, claim.fence).await?;
                Ok(None)
            }
        }
    }

    /// Takes an address from the first pool that has one and may be used.
    async fn begin(&self, claim: &mut Claim<'_>, pools: &[String]) -> Result<Outcome<Manager>, Halt> {
        let seed = digest::of(claim.key).0;
        let (mut denied, mut full) = (Vec::new(), Vec::new());
        for id in pools {
            let Some(mut pool) = self.read_pool(claim.key, id).await? else {
                continue;
            };
            if !pool.admits(&self.env().cluster, claim.project) {
                denied.push(pool.name);
                continue;
            }
            let mut lost = 0;
            while let Some(address) = pool.candidate(seed, &claim.suspects) {
                if lost == MOST_LOST {
                    return Err(put_off(claim.key, &pool));
                }
                lost += 1;
                let claimed = Claimed {
                    pool: id.clone(),
                    address,
                    state: Claimed::PENDING.into(),
                    suspects: claim.suspects.clone(),
                };
                self.write_down(claim, &claimed).await?;
                if let Some(held) = self.allocate(claim, &pool, &claimed, false).await? {
                    return Ok(held);
                }
                pool.take(address);
            }
            full.push(pool.name);
        }
        self.abandon(claim).await?;
        Ok(Outcome::Refused(exhausted(claim, &denied, &full, pools)))
    }

    /// Asks for the address that is written down; `None` if it is another's. `doubt`: it may have been
    /// asked for before, and the answer lost.
    async fn allocate(
        &self,
        claim: &mut Claim<'_>,
        pool: &Pool,
        claimed: &Claimed,
        doubt: bool,
    ) -> Result<Option<Outcome<Manager>>, Halt> {
        let Err(error) = self
            .pool_action(&claimed.pool, "ALLOCATE", claimed.address, claim.fence)
            .await
        else {
            return self.hold(claim, claimed).await.map(Some);
        };
        let code = error.refusal().and_then(|r| r.error_code);
        match code {
            Some(code) if TAKEN.contains(&code) && doubt => self.settle(claim, pool, claimed).await,
            Some(code) if TAKEN.contains(&code) => Ok(None),
            Some(NOT_IN_POOL) => Ok(None),
            _ if matches!(error.class(), Class::Gone | Class::Exhausted) => Ok(None),
            _ => Err(Box::new(outcome(claim.key, Deed::Make, &error))),
        }
    }

    /// The address is allocated, and whether to us is in doubt.
    async fn settle(
        &self,
        claim: &mut Claim<'_>,
        pool: &Pool,
        claimed: &Claimed,
    ) -> Result<Option<Outcome<Manager>>, Halt> {
        if self
            .named_by_another(claim.key, claim.set.as_ref(), claimed)
            .await?
        {
            return Ok(None);
        }
        if pool.is_exclusive(&self.env().cluster) {
            return self.hold(claim, claimed).await.map(Some);
        }
        tracing::warn!(
            code = %Code::IpReleaseFailed, row = %claim.key, pool = %pool.name, address = %claimed.address,
            "the address is allocated and may be ours; it is used by nobody and stands in the tag ncp/suspect"
        );
        // Written down together with the next candidate.
        claim.suspects.push(claimed.address);
        Ok(None)
    }

    /// Marks the claim held.
    async fn hold(&self, claim: &Claim<'_>, claimed: &Claimed) -> Result<Outcome<Manager>, Halt> {
        let set = claim.set.clone().unwrap_or(Handle::Riding);
        let held = Claimed {
            state: Claimed::HELD.into(),
            suspects: claim.suspects.clone(),
            ..claimed.clone()
        };
        let written = self
            .put_set(claim.key, &set, claim.project, &held, claim.fence)
            .await?;
        Ok(Outcome::Done(
            decode(self.env(), claim.key, None, &written).seen(set),
        ))
    }

    /// Writes the candidate down, on a new set or on the one that stands.
    async fn write_down(&self, claim: &mut Claim<'_>, claimed: &Claimed) -> Result<(), Halt> {
        if let Some(set) = claim.set.clone() {
            self.put_set(claim.key, &set, claim.project, claimed, claim.fence)
                .await?;
            return Ok(());
        }
        let body = encode_claim(self.env(), claim.key, claim.project, claimed);
        let answer = self
            .api
            .post(
                &paths::list(self.env(), Part::Claim),
                &[],
                Some(&body),
                claim.fence,
            )
            .await;
        let failed = |error: &TransportError| Box::new(outcome(claim.key, Deed::Make, error));
        let made = answer
            .map_err(|e| failed(&e))?
            .value()
            .map_err(|_| Box::new(Outcome::Uncertain))?;
        claim.set = Some(Handle::Id(id(&made)));
        Ok(())
    }

    /// Removes a set that holds nothing, so that it never names an address that is another's.
    async fn abandon(&self, claim: &Claim<'_>) -> Result<(), Halt> {
        let Some(set) = &claim.set else { return Ok(()) };
        if !claim.suspects.is_empty() {
            return Ok(());
        }
        self.delete_set(claim.key, set, claim.fence).await
    }

    /// Gives the address back and removes the set.
    pub(super) async fn release(&self, key: &Key, set: &Handle, fence: Deadline) -> Outcome<Manager> {
        let _turn = self.claims.lock().await;
        match self.let_go(key, set, fence).await {
            Ok(()) => Outcome::Gone,
            Err(halt) => *halt,
        }
    }

    async fn let_go(&self, key: &Key, set: &Handle, fence: Deadline) -> Result<(), Halt> {
        let Some(read) = self.read_set(key, set).await? else {
            return Ok(());
        };
        if let Some(claimed) = Claimed::read(&read) {
            self.give_back(key, set, &claimed, fence).await?;
        }
        self.delete_set(key, set, fence).await
    }

    /// Sees to it that the address is not allocated to us any more.
    async fn give_back(
        &self,
        key: &Key,
        set: &Handle,
        claimed: &Claimed,
        fence: Deadline,
    ) -> Result<(), Halt> {
        if claimed.state == Claimed::HELD {
            let releasing = Claimed {
                state: Claimed::RELEASING.into(),
                ..claimed.clone()
            };
            let project = project_of(key);
            self.put_set(key, set, &project, &releasing, fence).await?;
        } else if !self.is_surely_ours(key, set, claimed).await? {
            return Ok(());
        }
        let Err(error) = self
            .pool_action(&claimed.pool, "RELEASE", claimed.address, fence)
            .await
        else {
            return Ok(());
        };
        if error.class() == Class::Gone {
            return Ok(());
        }
        if super::outcome::is_content(&error) {
            // What NSX says of an address that is not allocated is not published: look.
            let pool = self.read_pool(key, &claimed.pool).await?;
            if pool.is_none_or(|pool| !pool.is_taken(claimed.address)) {
                return Ok(());
            }
            let message = format!("{key}: {}", describe(&error));
            return Err(Box::new(Outcome::Refused(Failure::new(
                Code::IpReleaseFailed,
                message,
            ))));
        }
        Err(Box::new(outcome(key, Deed::Remove, &error)))
    }

    /// Whether an address that may be allocated to us is so for certain.
    async fn is_surely_ours(&self, key: &Key, set: &Handle, claimed: &Claimed) -> Result<bool, Halt> {
        let Some(pool) = self.read_pool(key, &claimed.pool).await? else {
            return Ok(false);
        };
        if !pool.is_taken(claimed.address) || self.named_by_another(key, Some(set), claimed).await? {
            return Ok(false);
        }
        let ours = pool.is_exclusive(&self.env().cluster);
        if !ours {
            tracing::warn!(
                code = %Code::IpReleaseFailed, row = %key, pool = %pool.name, address = %claimed.address,
                "the address is allocated and may be ours or another's by now; release it by hand if nobody uses it"
            );
        }
        Ok(ours)
    }

    /// Whether another IP set, of whichever cluster, names this address of this pool.
    async fn named_by_another(
        &self,
        key: &Key,
        set: Option<&Handle>,
        claimed: &Claimed,
    ) -> Result<bool, Halt> {
        let own = set.map(handle_id).map(|id| id.to_string()).unwrap_or_default();
        let sets = self.whole(&paths::list(self.env(), Part::Claim), &[]).await;
        let sets = sets.map_err(|e| Box::new(unread(key, &e)))?;
        Ok(sets.iter().filter(|s| text(s, "id") != own).any(|s| {
            let other = Claimed::read(s);
            other.is_some_and(|o| o.pool == claimed.pool && o.address == claimed.address)
        }))
    }

    async fn read_set(&self, key: &Key, set: &Handle) -> Result<Option<Value>, Halt> {
        let path = paths::object(self.env(), Part::Claim, set);
        self.get(&path).await.map_err(|e| Box::new(unread(key, &e)))
    }

    async fn read_pool(&self, key: &Key, id: &str) -> Result<Option<Pool>, Halt> {
        self.pool(id).await.map_err(|e| Box::new(unread(key, &e)))
    }

    async fn put_set(
        &self,
        key: &Key,
        set: &Handle,
        project: &ProjectId,
        claimed: &Claimed,
        fence: Deadline,
    ) -> Result<Value, Halt> {
        let path = paths::object(self.env(), Part::Claim, set);
        let mut attempts = 0;
        loop {
            let Some(read) = self.read_set(key, set).await? else {
                return Err(Box::new(Outcome::Stale));
            };
            let body = overlay(&read, encode_claim(self.env(), key, project, claimed), false);
            match self.api.put(&path, &[], &body, fence).await {
                Ok(answer) => return answer.value().map_err(|_| Box::new(Outcome::Uncertain)),
                Err(error) if is_stale(&error) && attempts < self.api.options().retries => attempts += 1,
                Err(error) => return Err(Box::new(outcome(key, Deed::Change, &error))),
            }
        }
    }

    async fn delete_set(&self, key: &Key, set: &Handle, fence: Deadline) -> Result<(), Halt> {
        let path = paths::object(self.env(), Part::Claim, set);
        match self.api.delete(&path, &[], fence).await {
            Ok(_) => Ok(()),
            Err(error) if error.class() == Class::Gone => Ok(()),
            Err(error) => Err(Box::new(outcome(key, Deed::Remove, &error))),
        }
    }

    async fn pool_action(
        &self,
        pool: &str,
        action: &str,
        address: Ipv4Addr,
        fence: Deadline,
    ) -> Result<(), TransportError> {
        let path = format!("/pools/ip-pools/{}", escape_segment(pool));
        let body = json!({ "allocation_id": address });
        let answer = self
            .api
            .post(&path, &[("action", action)], Some(&body), fence)
            .await;
        answer.map(|_| ())
    }
}

fn project_of(key: &Key) -> ProjectId {
    use ncp_core::intent::EgressOwner::{Group, Project};
    match &key.object {
        ncp_core::topology::ObjectKey::Address(a) => match &a.owner {
            Project(p) | Group(p, _) => p.clone(),
        },
        _ => ProjectId::new(""),
    }
}

fn put_off(key: &Key, pool: &Pool) -> Halt {
    let message = format!("{key}: others took each address of pool {} first", pool.name);
    Box::new(Outcome::Refused(Failure::new(Code::SnatProcessFailed, message)))
}

fn exhausted(claim: &Claim<'_>, denied: &[String], full: &[String], pools: &[String]) -> Failure {
    let key = claim.key;
    if !full.is_empty() {
        let message = format!("{key}: no free address in pool {}", full.join(", "));
        return Failure::new(Code::IpPoolExhausted, message);
    }
    if !denied.is_empty() {
        let message = format!(
            "{key}: the ncp/owner tags of pool {} do not admit {}",
            denied.join(", "),
            claim.project
        );
        return Failure::new(Code::PoolAccessDenied, message);
    }
    let message = match pools {
        [] => format!("{key}: no pool is configured; name one in external_ip_pools"),
        pools => format!("{key}: there is no pool {}", pools.join(", ")),
    };
    Failure::new(Code::IpPoolNotFound, message)
}
