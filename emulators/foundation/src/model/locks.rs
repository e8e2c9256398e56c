//! Locket's entries: locks and presences with a time to live. There is no fencing token.

use std::collections::BTreeMap;
use std::time::Duration;

use diego_wire::locket::Resource;
use tokio::time::Instant;

/// Why Locket refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Collision,
    InvalidType,
    InvalidTtl,
    InvalidOwner,
    NotFound,
}

/// Entries by key. Expired ones are dropped when looked at.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: BTreeMap<String, (Resource, Instant)>,
}

impl Locks {
    /// Acquires or refreshes. Checked in this order: type, TTL, owner.
    pub(crate) fn lock(
        &mut self,
        resource: Resource,
        ttl: i64,
        text_type_counts: bool,
    ) -> Result<(), Refusal> {
        let resource = typed(resource, text_type_counts)?;
        let ttl = u64::try_from(ttl)
            .ok()
            .filter(|ttl| *ttl > 0)
            .ok_or(Refusal::InvalidTtl)?;
        if resource.owner.is_empty() {
            return Err(Refusal::InvalidOwner);
        }
        self.expire();
        if self
            .held
            .get(&resource.key)
            .is_some_and(|(held, _)| held.owner != resource.owner)
        {
            return Err(Refusal::Collision);
        }
        let until = Instant::now() + Duration::from_secs(ttl);
        self.held.insert(resource.key.clone(), (resource, until));
        Ok(())
    }

    /// Gives back; a key that nobody holds is no error.
    pub(crate) fn release(&mut self, resource: &Resource) -> Result<(), Refusal> {
        self.expire();
        match self.held.get(&resource.key) {
            Some((held, _)) if held.owner != resource.owner => Err(Refusal::Collision),
            _ => {
                self.held.remove(&resource.key);
                Ok(())
            }
        }
    }

    pub(crate) fn fetch(&mut self, key: &str) -> Result<Resource, Refusal> {
        self.expire();
        self.held
            .get(key)
            .map(|(held, _)| held.clone())
            .ok_or(Refusal::NotFound)
    }

    pub(crate) fn fetch_all(&mut self, type_code: i32) -> Result<Vec<Resource>, Refusal> {
        if !(1..=2).contains(&type_code) {
            return Err(Refusal::InvalidType);
        }
        self.expire();
        Ok(self
            .held
            .values()
            .map(|(held, _)| held)
            .filter(|held| held.type_code == type_code)
            .cloned()
            .collect())
    }

    /// Frees a key whoever holds it, as when its time had passed.
    pub(crate) fn drop_key(&mut self, key: &str) {
        self.held.remove(key);
    }

    /// Gives a key to an owner whoever holds it.
    pub(crate) fn seize(&mut self, resource: Resource, ttl: Duration) {
        self.held
            .insert(resource.key.clone(), (resource, Instant::now() + ttl));
    }

    fn expire(&mut self) {
        let now = Instant::now();
        self.held.retain(|_, (_, until)| *until > now);
    }
}

/// Newer servers look at the code only; older ones take either form if both agree.
pub(crate) fn type_code(code: i32, text: &str, text_counts: bool) -> Result<i32, Refusal> {
    let named = match text {
        "lock" => 1,
        "presence" => 2,
        _ => 0,
    };
    match (code, named) {
        (1 | 2, _) if !text_counts => Ok(code),
        (1 | 2, 0) if text.is_empty() => Ok(code),
        (0, 1 | 2) if text_counts => Ok(named),
        (1 | 2, _) if code == named => Ok(code),
        _ => Err(Refusal::InvalidType),
    }
}

fn typed(resource: Resource, text_counts: bool) -> Result<Resource, Refusal> {
    let type_code = type_code(resource.type_code, &resource.r#type, text_counts)?;
    Ok(Resource {
        type_code,
        ..resource
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(owner: &str) -> Resource {
        Resource {
            key: "k".into(),
            owner: owner.into(),
            type_code: 1,
            ..Default::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_is_kept_refreshed_and_lost_by_time() {
        let mut locks = Locks::default();
        assert_eq!(locks.lock(lock("a"), 15, false), Ok(()));
        assert_eq!(locks.lock(lock("b"), 15, false), Err(Refusal::Collision));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(locks.lock(lock("a"), 15, false), Ok(()));
        tokio::time::advance(Duration::from_secs(14)).await;
        assert_eq!(locks.lock(lock("b"), 15, false), Err(Refusal::Collision));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(locks.lock(lock("b"), 15, false), Ok(()));
        assert_eq!(locks.release(&lock("a")), Err(Refusal::Collision));
        assert_eq!(locks.release(&lock("b")), Ok(()));
        assert_eq!(locks.release(&lock("b")), Ok(()));
        assert_eq!(locks.fetch("k"), Err(Refusal::NotFound));
    }

    #[tokio::test]
    async fn checks_come_in_order() {
        let mut locks = Locks::default();
        let untyped = Resource {
            r#type: "lock".into(),
            ..Default::default()
        };
        assert_eq!(locks.lock(untyped.clone(), 0, false), Err(Refusal::InvalidType));
        assert_eq!(locks.lock(untyped, 0, true), Err(Refusal::InvalidTtl));
        assert_eq!(locks.lock(lock(""), 0, false), Err(Refusal::InvalidTtl));
        assert_eq!(locks.lock(lock(""), 1, false), Err(Refusal::InvalidOwner));
        assert_eq!(locks.fetch_all(0), Err(Refusal::InvalidType));
    }
}
