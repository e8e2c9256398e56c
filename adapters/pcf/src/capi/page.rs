//! When several pages make one listing.
//!
//! Cloud Controller pages by offset over live tables in order of creation. A row deleted between two page
//! reads shifts the later ones, and the one that crosses the boundary is skipped without a trace; a new row
//! lands at the end. So a run over several pages is believed only if the total stayed the same, no row came
//! twice, as many rows came as were promised, and the last row of each page, asked for again by its
//! position, is still there. A single page is one database read and consistent in itself.
//!
//! Where a change token guards the listing, the token is compared instead of the positions.

use std::collections::HashSet;

/// One page, whatever the API version.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub total: u64,
    /// Path and query of the next page on our own endpoint.
    pub next: Option<String>,
    pub items: Vec<T>,
}

/// What showed that a listing changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsteady {
    /// The promised number of rows changed between pages.
    #[error("the total went from {before} to {now}")]
    Total {
        /// On the first page.
        before: u64,
        /// On a later one.
        now: u64,
    },
    /// Another number of rows came than was promised.
    #[error("{promised} rows were promised and {got} came")]
    Count {
        /// Total on the pages.
        promised: u64,
        /// Rows on the pages.
        got: u64,
    },
    /// A row came twice.
    #[error("a row came twice")]
    Twice,
    /// A row is no longer at the position it was read from.
    #[error("the row at position {position} is another now")]
    Shifted {
        /// Position from 1.
        position: u64,
    },
    /// The change token moved.
    #[error("the change token moved")]
    Token,
}

/// Pages of one listing as they come in.
#[derive(Debug)]
pub(super) struct Run<T> {
    items: Vec<T>,
    seen: HashSet<String>,
    total: Option<u64>,
    /// Position (from 1) and guid of each page's last row, the last page's excepted.
    boundaries: Vec<(u64, String)>,
    last: Option<String>,
}

impl<T> Run<T> {
    pub(super) fn new() -> Self {
        Self {
            items: Vec::new(),
            seen: HashSet::new(),
            total: None,
            boundaries: Vec::new(),
            last: None,
        }
    }

    /// Takes a page in. The guid tells rows apart.
    pub(super) fn add(&mut self, page: Page<T>, guid: impl Fn(&T) -> &str) -> Result<(), Unsteady> {
        let before = *self.total.get_or_insert(page.total);
        if before != page.total {
            return Err(Unsteady::Total {
                before,
                now: page.total,
            });
        }
        if let Some(last) = self.last.take() {
            self.boundaries.push((self.items.len() as u64, last));
        }
        for item in &page.items {
            if !self.seen.insert(guid(item).to_owned()) {
                return Err(Unsteady::Twice);
            }
        }
        self.last = page.items.last().map(|item| guid(item).to_owned());
        self.items.extend(page.items);
        Ok(())
    }

    /// Rows to ask for again after the last page: position and guid.
    pub(super) fn boundaries(&self) -> &[(u64, String)] {
        &self.boundaries
    }

    /// All rows, if as many came as were promised.
    pub(super) fn finish(self) -> Result<Vec<T>, Unsteady> {
        let (promised, got) = (self.total.unwrap_or_default(), self.items.len() as u64);
        if promised != got {
            return Err(Unsteady::Count { promised, got });
        }
        Ok(self.items)
    }
}

/// Compares a boundary row with what is at its position now.
pub(super) fn check_boundary(
    run_total: u64,
    expected: &(u64, String),
    now: &Page<String>,
) -> Result<(), Unsteady> {
    if now.total != run_total {
        return Err(Unsteady::Total {
            before: run_total,
            now: now.total,
        });
    }
    if now.items.first() != Some(&expected.1) {
        return Err(Unsteady::Shifted { position: expected.0 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A table of rows by creation, changed before each read as the script says.
    struct Table {
        rows: BTreeMap<u32, String>,
        next: u32,
        script: std::vec::IntoIter<Vec<Change>>,
    }

    #[derive(Clone, Debug)]
    enum Change {
        Insert,
        Delete(usize),
    }

    impl Table {
        fn read(&mut self, page: u64, per_page: u64) -> Page<String> {
            for change in self.script.next().unwrap_or_default() {
                match change {
                    Change::Insert => {
                        self.rows.insert(self.next, format!("row-{}", self.next));
                        self.next += 1;
                    }
                    Change::Delete(nth) if !self.rows.is_empty() => {
                        let key = *self.rows.keys().nth(nth % self.rows.len()).unwrap();
                        self.rows.remove(&key);
                    }
                    Change::Delete(_) => {}
                }
            }
            let from = ((page - 1) * per_page) as usize;
            let items: Vec<_> = self
                .rows
                .values()
                .skip(from)
                .take(per_page as usize)
                .cloned()
                .collect();
            let more = self.rows.len() as u64 > page * per_page;
            Page {
                total: self.rows.len() as u64,
                next: more.then(|| (page + 1).to_string()),
                items,
            }
        }
    }

    fn pass(table: &mut Table, per_page: u64) -> Result<Vec<String>, Unsteady> {
        let mut run = Run::new();
        let (mut page, mut total) = (1, 0);
        loop {
            let read = table.read(page, per_page);
            total = if page == 1 { read.total } else { total };
            let more = read.next.is_some();
            run.add(read, String::as_str)?;
            if !more {
                break;
            }
            page += 1;
        }
        for boundary in run.boundaries() {
            check_boundary(total, boundary, &table.read(boundary.0, 1))?;
        }
        run.finish()
    }

    fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
        let change = prop_oneof![
            Just(Change::Insert),
            any::<prop::sample::Index>().prop_map(|i| Change::Delete(i.index(1000)))
        ];
        prop::collection::vec(prop::collection::vec(change, 0..2), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_believed_listing_misses_no_row_that_was_there_throughout(
            rows in 0u32..30, per_page in 1u64..8, script in changes(),
        ) {
            let rows: BTreeMap<_, _> = (0..rows).map(|id| (id, format!("row-{id}"))).collect();
            let before = rows.clone();
            let next = rows.len() as u32;
            let mut table = Table { rows, next, script: script.into_iter() };
            if let Ok(listed) = pass(&mut table, per_page) {
                let throughout = before.iter().filter(|(id, _)| table.rows.contains_key(id));
                for (_, row) in throughout {
                    prop_assert!(listed.contains(row), "{row} was skipped");
                }
            }
        }
    }

    #[test]
    fn a_deletion_made_good_by_an_insertion_is_noticed_by_position() {
        let rows: BTreeMap<_, _> = (0..6).map(|id| (id, format!("row-{id}"))).collect();
        let script = vec![vec![], vec![Change::Delete(0), Change::Insert]];
        let mut table = Table {
            rows,
            next: 6,
            script: script.into_iter(),
        };
        assert_eq!(pass(&mut table, 3), Err(Unsteady::Shifted { position: 3 }));
        assert_eq!(pass(&mut table, 3).map(|rows| rows.len()), Ok(6), "steady again");
    }

    #[test]
    fn an_empty_table_is_a_listing() {
        let mut table = Table {
            rows: BTreeMap::new(),
            next: 0,
            script: vec![].into_iter(),
        };
        assert_eq!(pass(&mut table, 3), Ok(vec![]));
    }
}
