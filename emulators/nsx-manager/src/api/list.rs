//! Lists: filters, pages, cursors, stale reads.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::{Answer, ApiError, Call, Payload, Result};
use crate::kinds::{Filter, Kind, Spec};
use crate::store::{Body, Object, Pos, Store, View};

/// Largest page that NSX gives.
const LARGEST: usize = 1000;

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) results: Vec<Value>,
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) total: usize,
    pub(crate) cursor: Option<String>,
    pub(crate) included: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Wire<R: Serialize> {
    results: Vec<R>,
    result_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    sort_by: &'static str,
    sort_ascending: bool,
}

impl Page {
    pub(crate) fn to_vec(&self) -> serde_json::Result<Vec<u8>> {
        match &self.included {
            Some(fields) => self.wire(
                self.objects
                    .iter()
                    .map(|object| only(&object.body, fields))
                    .collect(),
            ),
            None if self.objects.is_empty() => self.wire(self.results.iter().collect()),
            None => self.wire(self.objects.iter().map(|object| &object.body).collect()),
        }
    }

    fn wire<R: Serialize>(&self, results: Vec<R>) -> serde_json::Result<Vec<u8>> {
        let (result_count, cursor) = (self.total, self.cursor.clone());
        serde_json::to_vec(&Wire {
            results,
            result_count,
            cursor,
            sort_by: "displayName",
            sort_ascending: true,
        })
    }
}

fn only(body: &Body, fields: &[String]) -> Body {
    let wanted = fields
        .iter()
        .filter_map(|field| Some((field.clone(), body.get(field)?.clone())));
    wanted.collect()
}

/// What a list call asks for.
pub(crate) struct Listing {
    size: usize,
    after: Option<String>,
    included: Option<Vec<String>>,
    sort_by: Option<String>,
    descending: bool,
}

impl Listing {
    /// Reads the paging parameters; `largest` is the kind's own limit.
    pub(crate) fn read(call: &Call<'_>, largest: usize) -> Result<Self> {
        let size = call.query.number("page_size")?.unwrap_or(LARGEST);
        if size > LARGEST {
            return Err(ApiError::invalid(format!("page_size can't exceed {LARGEST}.")));
        }
        let size = size.clamp(1, largest).min(call.page_limit.unwrap_or(LARGEST));
        let included = call
            .query
            .get("included_fields")
            .map(|list| list.split(',').map(str::to_owned).collect());
        Ok(Listing {
            size,
            after: call.query.get("cursor").map(str::to_owned),
            included,
            sort_by: call
                .query
                .get("sort_by")
                .filter(|field| *field != "id")
                .map(str::to_owned),
            descending: call.query.get("sort_ascending") == Some("false"),
        })
    }

    /// A page of rows that are no stored objects; the cursor is an offset.
    pub(crate) fn values(self, rows: Vec<Value>) -> Result<Answer> {
        let (from, total) = (self.offset()?, rows.len());
        let results: Vec<Value> = rows.into_iter().skip(from).take(self.size).collect();
        let end = from + results.len();
        let cursor = (end < total).then(|| end.to_string());
        let page = Page {
            results,
            objects: Vec::new(),
            total,
            cursor,
            included: None,
        };
        Ok(Answer::ok(Payload::Page(page)))
    }

    /// A page of objects by offset. Search gives a cursor on the last page too: the end itself.
    pub(crate) fn offsets(self, rows: Vec<Arc<Object>>, always: bool) -> Result<Answer> {
        let (from, total) = (self.offset()?, rows.len());
        let objects: Vec<_> = rows.into_iter().skip(from).take(self.size).collect();
        let end = from + objects.len();
        let cursor = (always || end < total).then(|| end.to_string());
        Ok(Answer::ok(Payload::Page(Page {
            results: Vec::new(),
            objects,
            total,
            cursor,
            included: self.included,
        })))
    }

    fn offset(&self) -> Result<usize> {
        let parse = |text: &String| {
            text.parse()
                .map_err(|_| ApiError::invalid("The cursor is not one of ours."))
        };
        self.after.as_ref().map_or(Ok(0), parse)
    }

    fn position(&self, kind: Kind) -> Result<Option<Pos>> {
        let wrong = || ApiError::invalid("The cursor is not one of ours.");
        self.after
            .as_ref()
            .map(|text| parse_cursor(kind, text).ok_or_else(wrong))
            .transpose()
    }

    /// A page of objects in list order.
    fn page(self, kind: Kind, rows: impl Iterator<Item = Arc<Object>>, total: usize) -> Result<Answer> {
        let after = self.position(kind)?;
        let mut rows = rows.skip_while(|row| after.is_some_and(|after| row.pos() <= after));
        let objects: Vec<_> = rows.by_ref().take(self.size).collect();
        let cursor = objects
            .last()
            .filter(|_| rows.next().is_some())
            .map(|last| cursor(last.pos()));
        Ok(Answer::ok(Payload::Page(Page {
            results: Vec::new(),
            objects,
            total,
            cursor,
            included: self.included,
        })))
    }
}

/// A cursor names the last object given, so that pages stay whole while others write.
///
/// It begins with neither `0000`, which old clients take for the end, nor a digit string that could be an offset.
fn cursor(pos: Pos) -> String {
    format!("0036{:016x}{:016x}", ordered(pos.seq), ordered(pos.uid))
}

fn parse_cursor(kind: Kind, text: &str) -> Option<Pos> {
    let rest = text
        .strip_prefix("0036")
        .filter(|rest| rest.len() == 32 && rest.is_ascii())?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok().map(unordered);
    Some(Pos {
        kind,
        seq: number(&rest[..16])?,
        uid: number(&rest[16..])?,
    })
}

fn ordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}

fn unordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// The objects of a kind that pass the filter, in list order.
pub(crate) fn rows<'a>(
    view: &'a View,
    kind: Kind,
    filter: &'a Filter,
    after: Option<Pos>,
) -> Box<dyn Iterator<Item = &'a Arc<Object>> + 'a> {
    let passes = move |object: &&Arc<Object>| filter.passes(view, object);
    match &filter.term {
        Some(term) => Box::new(view.with(kind, term, after).filter(passes)),
        None => Box::new(view.list(kind, after).filter(passes)),
    }
}

/// Answers the list call of a kind.
pub(super) fn list(store: &mut Store, call: &Call<'_>, spec: &Spec) -> Result<Answer> {
    let listing = Listing::read(call, spec.page)?;
    let filter = spec.rules.filter(&call.query)?;
    filtered(store, call, spec.kind, listing, &filter)
}

/// Answers a list call with a filter.
pub(super) fn filtered(
    store: &mut Store,
    call: &Call<'_>,
    kind: Kind,
    listing: Listing,
    filter: &Filter,
) -> Result<Answer> {
    if call.stale > 0 {
        let rows = stale(store, kind, filter, call.stale);
        let total = rows.len();
        return listing.page(kind, rows.into_iter(), total);
    }
    let view = store.view();
    if listing.sort_by.is_some() {
        return sorted(view, kind, listing, filter);
    }
    let total = match (&filter.term, filter.is_exact()) {
        (None, true) => view.count(kind),
        _ => rows(view, kind, filter, None).count(),
    };
    let after = listing.position(kind)?;
    listing.page(kind, rows(view, kind, filter, after).cloned(), total)
}

fn sorted(view: &View, kind: Kind, listing: Listing, filter: &Filter) -> Result<Answer> {
    let mut all: Vec<_> = rows(view, kind, filter, None).cloned().collect();
    let field = listing.sort_by.clone().unwrap_or_default();
    all.sort_by_cached_key(|object| match object.body.get(&field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => format!("{:020}", number.as_i64().unwrap_or(0)),
        _ => String::new(),
    });
    if listing.descending {
        all.reverse();
    }
    listing.offsets(all, false)
}

/// The list as it was some writes ago.
fn stale(store: &Store, kind: Kind, filter: &Filter, writes: usize) -> Vec<Arc<Object>> {
    let (view, then) = (store.view(), store.ago(writes));
    let unchanged = view
        .list(kind, None)
        .filter(|object| !then.contains_key(&(kind, object.id.clone())));
    let before = then
        .iter()
        .filter(|((of, _), _)| *of == kind)
        .filter_map(|(_, object)| object.as_ref());
    let mut rows: Vec<_> = unchanged
        .chain(before)
        .filter(|object| filter.admits(view, object))
        .cloned()
        .collect();
    rows.sort_by_key(|object| object.pos());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_object() {
        let pos = Pos {
            kind: Kind::LogicalPort,
            seq: -5,
            uid: 77,
        };
        assert_eq!(parse_cursor(Kind::LogicalPort, &cursor(pos)), Some(pos));
        assert_eq!(parse_cursor(Kind::LogicalPort, "nonsense"), None);
    }
}
