//! A value against a Swagger 2.0 schema.

use serde_json::{Map, Value};

use super::{Fault, Finding};
use crate::kinds::formats::{self, Format};

/// Which way a body goes. Read-only fields are no duty of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Answer,
}

struct Check<'a> {
    document: &'a Value,
    direction: Direction,
    findings: Vec<Finding>,
}

pub(super) fn check(document: &Value, schema: &Value, value: &Value, direction: Direction) -> Vec<Finding> {
    let mut check = Check {
        document,
        direction,
        findings: Vec::new(),
    };
    check.value(schema, value, "");
    check.findings
}

/// The fields of a definition with those it inherits.
#[derive(Default)]
struct Fields {
    properties: Map<String, Value>,
    required: Vec<String>,
    discriminator: Option<String>,
    open: bool,
}

impl<'a> Check<'a> {
    fn found(&mut self, fault: Fault, place: &str, expected: impl Into<String>) {
        self.findings.push(Finding {
            fault,
            place: place.to_owned(),
            expected: expected.into(),
        });
    }

    fn definition(&self, reference: &str) -> Option<&'a Value> {
        self.document
            .get("definitions")?
            .get(reference.rsplit('/').next()?)
    }

    fn collect(&self, schema: &Value, fields: &mut Fields) {
        if let Some(inner) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|name| self.definition(name))
        {
            return self.collect(inner, fields);
        }
        for part in schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.collect(part, fields);
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        fields.properties.extend(
            properties
                .into_iter()
                .flatten()
                .map(|(name, of)| (name.clone(), of.clone())),
        );
        fields.required.extend(
            schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        if let Some(name) = schema.get("discriminator").and_then(Value::as_str) {
            fields.discriminator = Some(name.to_owned());
        }
        fields.open |= schema.get("additionalProperties").is_some();
    }

    fn value(&mut self, schema: &Value, value: &Value, place: &str) {
        // An absent field may be sent as null.
        if value.is_null() {
            return;
        }
        let known = schema.get("type").and_then(Value::as_str);
        match known {
            Some("string") => self.text(schema, value, place),
            Some("integer" | "number") => self.number(schema, value, place),
            Some("boolean") if !value.is_boolean() => self.found(Fault::Type, place, "true or false"),
            Some("boolean") => {}
            Some("array") => self.list(schema, value, place),
            _ => self.object(schema, value, place),
        }
    }

    fn object(&mut self, schema: &Value, value: &Value, place: &str) {
        let schema = self.concrete(schema, value);
        let Some(sent) = value.as_object() else {
            if schema.get("properties").is_some()
                || schema.get("allOf").is_some()
                || schema.get("$ref").is_some()
            {
                self.found(Fault::Type, place, "an object");
            }
            return;
        };
        let mut fields = Fields::default();
        self.collect(schema, &mut fields);
        if fields.properties.is_empty() {
            return;
        }
        for name in &fields.required {
            let read_only = fields
                .properties
                .get(name)
                .and_then(|field| field.get("readOnly"))
                == Some(&Value::Bool(true));
            let duty = self.direction == Direction::Answer || !read_only;
            if duty && sent.get(name).is_none_or(Value::is_null) {
                self.found(Fault::Missing, &join(place, name), "a value");
            }
        }
        for (name, value) in sent {
            match fields.properties.get(name) {
                Some(field) => self.value(field, value, &join(place, name)),
                None if fields.open || value.is_null() => {}
                None => self.found(Fault::UnknownField, &join(place, name), "no such field"),
            }
        }
    }

    /// The definition that the discriminator's value names, if this one has a discriminator.
    fn concrete<'b>(&self, schema: &'b Value, value: &Value) -> &'b Value
    where
        'a: 'b,
    {
        let mut fields = Fields::default();
        self.collect(schema, &mut fields);
        let name = fields
            .discriminator
            .and_then(|field| value.get(&field))
            .and_then(Value::as_str);
        name.and_then(|name| self.definition(name)).unwrap_or(schema)
    }

    fn list(&mut self, schema: &Value, value: &Value, place: &str) {
        let Some(sent) = value.as_array() else {
            return self.found(Fault::Type, place, "a list");
        };
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let count = sent.len() as u64;
        if bound("maxItems").is_some_and(|most| count > most)
            || bound("minItems").is_some_and(|least| count < least)
        {
            self.found(
                Fault::Limit,
                place,
                format!("{:?} to {:?} elements", bound("minItems"), bound("maxItems")),
            );
        }
        let Some(items) = schema.get("items") else { return };
        for (at, element) in sent.iter().enumerate() {
            self.value(items, element, &format!("{place}[{at}]"));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, place: &str) {
        let Some(number) = value.as_f64() else {
            return self.found(Fault::Type, place, "a number");
        };
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        if bound("maximum").is_some_and(|most| number > most)
            || bound("minimum").is_some_and(|least| number < least)
        {
            self.found(
                Fault::Limit,
                place,
                format!("{:?} to {:?}", bound("minimum"), bound("maximum")),
            );
        }
    }

    fn text(&mut self, schema: &Value, value: &Value, place: &str) {
        let Some(text) = value.as_str() else {
            return self.found(Fault::Type, place, "a text");
        };
        let words = schema.get("enum").and_then(Value::as_array);
        if words.is_some_and(|words| !words.contains(value)) {
            self.found(Fault::Enum, place, "one of the listed words");
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let length = text.chars().count() as u64;
        if bound("maxLength").is_some_and(|most| length > most)
            || bound("minLength").is_some_and(|least| length < least)
        {
            self.found(
                Fault::Limit,
                place,
                format!("{:?} to {:?} characters", bound("minLength"), bound("maxLength")),
            );
        }
        let format = schema.get("format").and_then(Value::as_str).and_then(notation);
        let mac = schema
            .get("pattern")
            .and_then(Value::as_str)
            .filter(|pattern| pattern.contains("[:]"));
        if let Some(format) = format
            .or(mac.map(|_| Format::Mac))
            .filter(|format| !formats::fits(*format, text))
        {
            self.found(Fault::Format, place, format.says());
        }
    }
}

fn notation(name: &str) -> Option<Format> {
    Some(match name {
        "ip" => Format::Ip,
        "ipv4" => Format::Ipv4,
        "ip-cidr-block" => Format::Cidr,
        "ipv4-cidr-block" => Format::Ipv4Cidr,
        "address-or-block-or-range" => Format::Addresses,
        "port-or-range" => Format::Ports,
        _ => return None,
    })
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() {
        name.to_owned()
    } else {
        format!("{place}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings(value: &Value) -> Vec<(Fault, String)> {
        let document = json!({ "definitions": {
            "Base": { "discriminator": "kind", "type": "object", "required": ["kind"],
                "properties": { "kind": { "type": "string" }, "id": { "type": "string", "readOnly": true } } },
            "Leaf": { "allOf": [{ "$ref": "#/definitions/Base" }, { "required": ["port", "id"], "properties": {
                "port": { "type": "integer", "minimum": 1, "maximum": 9 },
                "address": { "type": "string", "format": "ip" },
                "words": { "type": "array", "maxItems": 1, "items": { "type": "string", "enum": ["A"] } } } }] },
        } });
        let schema = json!({ "$ref": "#/definitions/Base" });
        check(&document, &schema, value, Direction::Request)
            .into_iter()
            .map(|one| (one.fault, one.place))
            .collect()
    }

    #[test]
    fn the_discriminator_leads_to_the_whole_definition() {
        assert_eq!(
            findings(&json!({ "kind": "Leaf", "port": 3, "words": ["A"], "address": "10.0.0.1" })),
            []
        );
        assert_eq!(
            findings(&json!({ "kind": "Leaf" })),
            [(Fault::Missing, "port".to_owned())]
        );
    }

    #[test]
    fn each_difference_is_named_with_its_place() {
        let value = json!({ "kind": "Leaf", "port": 10, "words": ["B", "A"], "address": "x", "more": 1 });
        let mut found = findings(&value);
        found.sort();
        let place = |text: &str| text.to_owned();
        assert_eq!(
            found,
            [
                (Fault::Enum, place("words[0]")),
                (Fault::Limit, place("port")),
                (Fault::Limit, place("words")),
                (Fault::Format, place("address")),
                (Fault::UnknownField, place("more")),
            ]
        );
    }
}
