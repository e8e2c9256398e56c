//! What the body of a kind may hold: a small description of fields, and the one function that makes a request's
//! body into what is stored.
//!
//! Like the real manager it ignores unknown and read-only fields, takes `null` for absent, fills defaults in,
//! and refuses wrong types, missing fields and exceeded limits with a 400.

use serde_json::{Value, json};

use super::formats::{Format, fits};
use crate::api::error::{ApiError, Result};
use crate::options::Version;
use crate::store::Body;

/// The fields of an object.
pub(crate) type Schema = [Field];

/// The type of a field's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    /// Text of at most so many characters.
    Text(usize),
    /// Whole number within these bounds.
    Int(i64, i64),
    Bool,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Text in a notation of its own.
    Of(Format),
    Object(&'static Schema),
    /// Object whose fields depend on the value of the named field.
    Variant(&'static str, &'static [(&'static str, &'static Schema)]),
    /// List with a least and a greatest length.
    List(&'static Type, usize, usize),
    /// Anything.
    Any,
}

/// Who sets a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Optional,
    Required,
    /// Set at creation, a later request may only repeat it.
    RequiredOnce,
    /// Set by the server; ignored in requests.
    ReadOnly,
}

/// What an absent field is filled with.
#[derive(Debug, Clone, Copy)]
enum Preset {
    Nothing,
    Text(&'static str),
    Int(i64),
    Bool(bool),
    EmptyList,
}

/// A field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    name: &'static str,
    of: Type,
    presence: Presence,
    preset: Preset,
    since: Version,
}

/// A field of this name and type that may be absent.
pub(crate) const fn field(name: &'static str, of: Type) -> Field {
    Field {
        name,
        of,
        presence: Presence::Optional,
        preset: Preset::Nothing,
        since: Version::V2_3,
    }
}

/// A text without a limit worth stating.
pub(crate) const fn text(name: &'static str) -> Field {
    field(name, Type::Text(4096))
}

/// A flag with a default.
pub(crate) const fn flag(name: &'static str, preset: bool) -> Field {
    Field {
        preset: Preset::Bool(preset),
        ..field(name, Type::Bool)
    }
}

/// One of some words.
pub(crate) const fn choice(name: &'static str, words: &'static [&'static str]) -> Field {
    field(name, Type::Enum(words))
}

/// A number with bounds.
pub(crate) const fn int(name: &'static str, least: i64, greatest: i64) -> Field {
    field(name, Type::Int(least, greatest))
}

/// A list of at most so many.
pub(crate) const fn list(name: &'static str, of: &'static Type, greatest: usize) -> Field {
    field(name, Type::List(of, 0, greatest))
}

impl Field {
    pub(crate) const fn required(self) -> Field {
        Field {
            presence: Presence::Required,
            ..self
        }
    }

    pub(crate) const fn once(self) -> Field {
        Field {
            presence: Presence::RequiredOnce,
            ..self
        }
    }

    pub(crate) const fn read_only(self) -> Field {
        Field {
            presence: Presence::ReadOnly,
            ..self
        }
    }

    pub(crate) const fn or(self, word: &'static str) -> Field {
        Field {
            preset: Preset::Text(word),
            ..self
        }
    }

    pub(crate) const fn or_int(self, number: i64) -> Field {
        Field {
            preset: Preset::Int(number),
            ..self
        }
    }

    pub(crate) const fn or_empty(self) -> Field {
        Field {
            preset: Preset::EmptyList,
            ..self
        }
    }

    pub(crate) const fn since(self, since: Version) -> Field {
        Field { since, ..self }
    }
}

const TAG: &Schema = &[
    field("scope", Type::Text(128)).or(""),
    field("tag", Type::Text(256)).or(""),
];

/// What every object may be given.
const COMMON: &Schema = &[
    field("display_name", Type::Text(255)),
    field("description", Type::Text(1024)),
    list("tags", &Type::Object(TAG), 30),
    text("resource_type"),
];

/// A request's body, judged: what is to be stored, without the server's own fields.
pub(crate) fn judge(schema: &Schema, body: &Body, old: Option<&Body>, version: Version) -> Result<Body> {
    let mut judged = fields(COMMON, body, version, "")?;
    judged.append(&mut fields(schema, body, version, "")?);
    let Some(old) = old else { return Ok(judged) };
    for field in schema.iter().filter(|field| field.since <= version) {
        keep(field, &mut judged, old)?;
    }
    Ok(judged)
}

/// Carries over what a change can't set, and refuses a change of what is set once.
fn keep(field: &Field, judged: &mut Body, old: &Body) -> Result<()> {
    match (field.presence, old.get(field.name)) {
        (Presence::ReadOnly, Some(value)) => {
            judged.insert(field.name.into(), value.clone());
        }
        (Presence::RequiredOnce, before) if judged.get(field.name) != before => {
            return Err(ApiError::invalid(format!(
                "The field {} cannot be changed.",
                field.name
            )));
        }
        _ => {}
    }
    Ok(())
}

fn fields(schema: &Schema, body: &Body, version: Version, path: &str) -> Result<Body> {
    let mut judged = Body::new();
    for field in schema.iter().filter(|field| field.since <= version) {
        if let Some(value) = one(field, body, version, path)? {
            judged.insert(field.name.into(), value);
        }
    }
    Ok(judged)
}

fn one(field: &Field, body: &Body, version: Version, path: &str) -> Result<Option<Value>> {
    let sent = body.get(field.name).filter(|value| !value.is_null());
    let path = if path.is_empty() {
        field.name.to_owned()
    } else {
        format!("{path}.{}", field.name)
    };
    match (field.presence, sent) {
        (Presence::ReadOnly, _) | (Presence::Optional, None) => Ok(preset(field.preset)),
        (_, Some(value)) => typed(&field.of, value, version, &path).map(Some),
        (_, None) => Err(ApiError::invalid(format!("The field {path} is required."))),
    }
}

fn preset(preset: Preset) -> Option<Value> {
    match preset {
        Preset::Nothing => None,
        Preset::Text(word) => Some(json!(word)),
        Preset::Int(number) => Some(json!(number)),
        Preset::Bool(set) => Some(json!(set)),
        Preset::EmptyList => Some(json!([])),
    }
}

fn typed(of: &Type, value: &Value, version: Version, path: &str) -> Result<Value> {
    let wrong = |what: &str| ApiError::invalid(format!("The field {path} must be {what}."));
    match of {
        Type::Any => Ok(value.clone()),
        Type::Bool => as_bool(value)
            .map(Value::Bool)
            .ok_or_else(|| wrong("true or false")),
        Type::Int(least, greatest) => as_int(value)
            .filter(|number| (least..=greatest).contains(&number))
            .map(|number| json!(number))
            .ok_or_else(|| wrong(&format!("a number from {least} to {greatest}"))),
        Type::Text(longest) => as_text(value)
            .filter(|text| text.chars().count() <= *longest)
            .map(Value::String)
            .ok_or_else(|| wrong(&format!("a text of at most {longest} characters"))),
        Type::Enum(words) => as_text(value)
            .filter(|word| words.contains(&word.as_str()))
            .map(Value::String)
            .ok_or_else(|| wrong(&format!("one of {}", words.join(", ")))),
        Type::Of(format) => as_text(value)
            .filter(|text| fits(*format, text))
            .map(Value::String)
            .ok_or_else(|| wrong(format.says())),
        Type::Object(schema) => {
            let inner = value.as_object().ok_or_else(|| wrong("an object"))?;
            fields(schema, inner, version, path).map(Value::Object)
        }
        Type::Variant(tag, variants) => variant(tag, variants, value, version, path),
        Type::List(of, least, greatest) => elements(of, (*least, *greatest), value, version, path),
    }
}

fn variant(
    tag: &str,
    variants: &[(&str, &Schema)],
    value: &Value,
    version: Version,
    path: &str,
) -> Result<Value> {
    let inner = value
        .as_object()
        .ok_or_else(|| ApiError::invalid(format!("The field {path} must be an object.")))?;
    let name = inner.get(tag).and_then(Value::as_str).unwrap_or("");
    let known = variants.iter().find(|(known, _)| *known == name);
    let (name, schema) = known
        .ok_or_else(|| ApiError::invalid(format!("The field {path}.{tag} `{name}` is no known type.")))?;
    let mut judged = fields(schema, inner, version, path)?;
    judged.insert((*tag).into(), json!(name));
    Ok(Value::Object(judged))
}

fn elements(of: &Type, bounds: (usize, usize), value: &Value, version: Version, path: &str) -> Result<Value> {
    let wrong = |what: String| ApiError::invalid(format!("The field {path} must be {what}."));
    let sent = value.as_array().ok_or_else(|| wrong("a list".into()))?;
    if sent.len() < bounds.0 || sent.len() > bounds.1 {
        return Err(wrong(format!("a list of {} to {} elements", bounds.0, bounds.1)));
    }
    let judged = sent
        .iter()
        .enumerate()
        .map(|(at, one)| typed(of, one, version, &format!("{path}[{at}]")));
    judged.collect::<Result<Vec<_>>>().map(Value::Array)
}

fn as_bool(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn as_int(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The manager's JSON reader takes a number where it wants a text.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
