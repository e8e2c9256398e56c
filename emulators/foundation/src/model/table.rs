//! Rows in the order they were made, found by guid: the default order of every list.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

/// An identifier as the platform writes it: 36 characters.
pub type Guid = String;

/// Draws identifiers: random in form, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Ids {
    space: Uuid,
    drawn: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            space: Uuid::new_v5(&Uuid::NAMESPACE_OID, &seed.to_be_bytes()),
            drawn: 0,
        }
    }

    pub(crate) fn draw(&mut self) -> Guid {
        self.drawn += 1;
        let digest = Uuid::new_v5(&self.space, &self.drawn.to_be_bytes());
        uuid::Builder::from_random_bytes(digest.into_bytes())
            .into_uuid()
            .to_string()
    }
}

/// A thing with a guid.
pub(crate) trait Row {
    fn guid(&self) -> &str;
}

/// Rows by row id, that is by creation.
#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: BTreeMap<u64, T>,
    ids: HashMap<Guid, u64>,
    next: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            ids: HashMap::new(),
            next: 1,
        }
    }
}

impl<T: Row> Table<T> {
    pub(crate) fn insert(&mut self, row: T) {
        self.ids.insert(row.guid().to_owned(), self.next);
        self.rows.insert(self.next, row);
        self.next += 1;
    }

    pub(crate) fn get(&self, guid: &str) -> Option<&T> {
        self.rows.get(self.ids.get(guid)?)
    }

    pub(crate) fn get_mut(&mut self, guid: &str) -> Option<&mut T> {
        self.rows.get_mut(self.ids.get(guid)?)
    }

    pub(crate) fn remove(&mut self, guid: &str) -> Option<T> {
        self.rows.remove(&self.ids.remove(guid)?)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.values()
    }

    /// Rows with their row ids.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u64, &T)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    pub(crate) fn row_id(&self, guid: &str) -> Option<u64> {
        self.ids.get(guid).copied()
    }

    pub(crate) fn by_row_id(&self, id: u64) -> Option<&T> {
        self.rows.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_repeat_with_the_seed_and_look_random() {
        let (mut one, mut two) = (Ids::new(7), Ids::new(7));
        let first = one.draw();
        assert_eq!(first, two.draw());
        assert_ne!(first, one.draw());
        assert_eq!(&first[14..15], "4");
    }
}
