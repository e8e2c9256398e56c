//! What all v3 lists have in common: parameters, filters, order, pages.
//!
//! Source: `app/messages/list_message.rb`, `lib/cloud_controller/paging`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, Call};
use crate::faults::FaultKind;
use crate::model::World;
use crate::model::clock::parse_rfc3339;
use crate::model::table::Row;
use crate::web::Reply;

const COMMON: [&str; 6] = [
    "page",
    "per_page",
    "order_by",
    "guids",
    "created_ats",
    "updated_ats",
];
const MAX_PER_PAGE: usize = 5000;

/// A kind of object that is listed.
pub(crate) trait Listed: Row + Sized + 'static {
    /// Parameters beyond the common ones.
    const FILTERS: &'static [&'static str];
    /// Whether unknown parameters are 422 instead of 400.
    const UNPROCESSABLE: bool = false;

    fn name(&self) -> &str {
        ""
    }
    fn state(&self) -> &str {
        ""
    }
    /// Seconds since the epoch: created, updated.
    fn times(&self) -> (i64, i64);
    fn labels(&self) -> Option<&BTreeMap<String, Option<String>>> {
        None
    }
    /// Whether the row passes a filter of [`Self::FILTERS`].
    fn passes(&self, world: &World, filter: &str, values: &[&str]) -> bool;
    fn render(&self, call: &Call<'_>) -> Value;
    /// For the fault that deletes a row between two pages.
    fn delete(world: &mut World, guid: &str);
}

struct Query {
    page: usize,
    per_page: usize,
    parameters: Vec<(String, String)>,
}

impl Query {
    fn read<T: Listed>(call: &Call<'_>) -> Result<Self, ApiError> {
        let parameters = call.request.query();
        for (key, _) in &parameters {
            let plain = key.split('[').next().unwrap_or_default();
            if !COMMON.contains(&plain) && !T::FILTERS.contains(&plain) {
                return Err(unknown::<T>(key));
            }
        }
        let number = |name: &str, default: usize| match parameters.iter().find(|(key, _)| key == name) {
            None => Ok(default),
            Some((_, text)) => text
                .parse()
                .ok()
                .filter(|number| *number >= 1)
                .ok_or_else(|| ApiError::bad_parameter(format!("{name} must be a positive integer"))),
        };
        let (page, per_page) = (number("page", 1)?, number("per_page", 50)?);
        if per_page > MAX_PER_PAGE {
            return Err(ApiError::bad_parameter("Per page must be between 1 and 5000"));
        }
        Ok(Self {
            page,
            per_page,
            parameters,
        })
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

fn unknown<T: Listed>(key: &str) -> ApiError {
    let valid: Vec<&str> = COMMON.iter().chain(T::FILTERS).copied().collect();
    let detail = format!(
        "Unknown query parameter(s): '{key}'. Valid parameters are: '{}'",
        valid.join("', '")
    );
    if T::UNPROCESSABLE {
        ApiError::unprocessable(detail)
    } else {
        ApiError::bad_parameter(detail)
    }
}

/// Answers a list; `included` makes what `include` asks for from the rows of the page.
pub(crate) fn list<T: Listed>(
    call: &mut Call<'_>,
    rows: impl Fn(&World) -> Vec<&T>,
    included: impl Fn(&Call<'_>, &[&T], &str) -> Result<Value, ApiError>,
) -> Answer {
    let query = Query::read::<T>(call)?;
    let world = &*call.world;
    let mut found = if call.is_emptied() {
        Vec::new()
    } else {
        rows(world)
    };
    for (key, value) in &query.parameters {
        found = filter(world, found, key, value)?;
    }
    order(&mut found, query.value("order_by"))?;
    let (total, start) = (found.len(), (query.page - 1).saturating_mul(query.per_page));
    let page: Vec<&T> = found.into_iter().skip(start).take(query.per_page).collect();
    // A window function that counts over no rows counts nothing.
    let total = if page.is_empty() { 0 } else { total };
    let mut body = json!({
        "pagination": pagination(call, &query, total),
        "resources": page.iter().map(|row| row.render(call)).collect::<Vec<_>>(),
    });
    if let Some(include) = query.value("include") {
        body["included"] = included(call, &page, include)?;
    }
    let first = page.first().map(|row| row.guid().to_owned());
    if call.request.fault == Some(FaultKind::DeleteBetweenPages)
        && let Some(first) = first
    {
        T::delete(call.world, &first);
    }
    Ok(Reply::json(200, &body))
}

/// For lists without `include`.
pub(crate) fn nothing<T>(_: &Call<'_>, _: &[&T], include: &str) -> Result<Value, ApiError> {
    Err(ApiError::bad_parameter(format!(
        "Invalid included resource: '{include}'"
    )))
}

fn filter<'a, T: Listed>(
    world: &World,
    rows: Vec<&'a T>,
    key: &str,
    value: &str,
) -> Result<Vec<&'a T>, ApiError> {
    let values: Vec<&str> = value.split(',').collect();
    let keep: Box<dyn Fn(&T) -> bool> = match key {
        "page" | "per_page" | "order_by" | "include" => return Ok(rows),
        "guids" => Box::new(|row: &T| values.contains(&row.guid())),
        "label_selector" => Box::new(|row: &T| values.iter().all(|part| selects(row, part))),
        key if key.starts_with("created_ats") => time_filter(key, &values, |row: &T| row.times().0)?,
        key if key.starts_with("updated_ats") => time_filter(key, &values, |row: &T| row.times().1)?,
        key => Box::new(|row: &T| row.passes(world, key, &values)),
    };
    Ok(rows.into_iter().filter(|row| keep(row)).collect())
}

type Keep<T> = Box<dyn Fn(&T) -> bool>;

/// Comparisons are over whole seconds.
fn time_filter<T: 'static>(key: &str, values: &[&str], time: fn(&T) -> i64) -> Result<Keep<T>, ApiError> {
    let name = key.split('[').next().unwrap_or_default();
    let invalid = || {
        ApiError::bad_parameter(format!(
            "{name} has an invalid timestamp format. Timestamps should be formatted as 'YYYY-MM-DDThh:mm:ssZ'"
        ))
    };
    let times: Vec<i64> = values
        .iter()
        .map(|text| parse_rfc3339(text))
        .collect::<Option<_>>()
        .ok_or_else(invalid)?;
    let at = times.first().copied().unwrap_or_default();
    Ok(match key.strip_prefix(name).unwrap_or_default() {
        "" => Box::new(move |row| times.contains(&time(row))),
        "[lt]" => Box::new(move |row| time(row) < at),
        "[lte]" => Box::new(move |row| time(row) <= at),
        "[gt]" => Box::new(move |row| time(row) > at),
        "[gte]" => Box::new(move |row| time(row) >= at),
        other => {
            return Err(ApiError::bad_parameter(format!(
                "Invalid relational operator: '{other}'"
            )));
        }
    })
}

/// One requirement of a label selector: `key`, `!key`, `key=value`, `key==value`, `key!=value`.
fn selects<T: Listed>(row: &T, part: &str) -> bool {
    let value = |key: &str| {
        row.labels()
            .and_then(|labels| labels.get(key))
            .and_then(Option::as_deref)
    };
    if let Some((key, wanted)) = part.split_once("!=") {
        return value(key) != Some(wanted);
    }
    if let Some((key, wanted)) = part.split_once('=') {
        return value(key) == Some(wanted.trim_start_matches('='));
    }
    match part.strip_prefix('!') {
        Some(key) => value(key).is_none(),
        None => value(part).is_some(),
    }
}

fn order<T: Listed>(rows: &mut [&T], by: Option<&str>) -> Result<(), ApiError> {
    let Some(by) = by else { return Ok(()) };
    let field = by.trim_start_matches(['-', '+']);
    let compare: fn(&T, &T) -> Ordering = match field {
        "created_at" => |a, b| a.times().0.cmp(&b.times().0),
        "updated_at" => |a, b| a.times().1.cmp(&b.times().1),
        "name" => |a, b| a.name().cmp(b.name()),
        "state" => |a, b| a.state().cmp(b.state()),
        _ => {
            return Err(ApiError::bad_parameter(
                "Order by can only be: 'created_at', 'updated_at', 'name', 'state'",
            ));
        }
    };
    rows.sort_by(|a, b| {
        let order = compare(a, b).then_with(|| a.guid().cmp(b.guid()));
        if by.starts_with('-') {
            order.reverse()
        } else {
            order
        }
    });
    Ok(())
}

fn pagination(call: &Call<'_>, query: &Query, total: usize) -> Value {
    let pages = total.div_ceil(query.per_page).max(1);
    let href = |page: usize| {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in query
            .parameters
            .iter()
            .filter(|(key, _)| key != "page" && key != "per_page")
        {
            text.append_pair(key, value);
        }
        text.append_pair("page", &page.to_string())
            .append_pair("per_page", &query.per_page.to_string());
        json!({"href": format!("{}{}?{}", call.external, call.request.path, text.finish())})
    };
    json!({
        "total_results": total,
        "total_pages": pages,
        "first": href(1),
        "last": href(pages),
        "next": (query.page < pages).then(|| href(query.page + 1)),
        "previous": (query.page > 1).then(|| href(query.page - 1)),
    })
}
