//! Search: a query language over an index that may lag behind.
//!
//! The syntax is the part of NSX's that clients use (nsx-mp-api §1.11): `field:term`, phrases, `AND`, `OR`,
//! `NOT`, parentheses, `?` and `*`, and a backslash before any character with a meaning. Terms compare without
//! regard to case, and the scope and the tag of one tag are *not* held together.

use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::list::Listing;
use super::{Answer, ApiError, Call, Result};
use crate::kinds::{Kind, spec};
use crate::store::{Object, Store, Term, View};

/// What an object must look like to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// The field, or any field, has a value that fits the pattern.
    Field(String, Pattern),
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

/// A term in lower case; wildcards are the characters that weren't escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern(Vec<Glyph>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Glyph {
    One(char),
    AnyOne,
    AnyMany,
}

pub(super) fn search(store: &mut Store, call: &Call<'_>, rest: &[&str]) -> Result<Answer> {
    if call.method != Method::GET || !matches!(rest, [] | ["query"] | ["dsl"]) {
        return call.unknown();
    }
    let query = call
        .query
        .get("query")
        .ok_or_else(|| ApiError::invalid("query is required."))?;
    let test = parse(query)?;
    let listing = Listing::read(call, 1000)?;
    let found = find(store.searched(), &test);
    listing.offsets(found, true)
}

fn find(view: &View, test: &Test) -> Vec<Arc<Object>> {
    let searchable = |object: &&Arc<Object>| {
        object.body.contains_key("resource_type")
            && object.kind != Kind::AllocationIpAddress
            && spec(object.kind).is_some()
    };
    let fits = |object: &&Arc<Object>| searchable(object) && meets(test, object);
    match narrowest(view, test) {
        Some(term) => view.with_any(&term).filter(fits).cloned().collect(),
        None => view.all().filter(fits).cloned().collect(),
    }
}

/// The index with the fewest candidates among the terms that must hold.
fn narrowest(view: &View, test: &Test) -> Option<Term> {
    let terms: Vec<Term> = match test {
        Test::All(tests) => tests.iter().filter_map(term).collect(),
        other => term(other).into_iter().collect(),
    };
    terms.into_iter().min_by_key(|term| view.weight(term))
}

fn term(test: &Test) -> Option<Term> {
    let Test::Field(field, pattern) = test else {
        return None;
    };
    let text = pattern.literal()?.into();
    match field.as_str() {
        "tags.scope" => Some(Term::Scope(text)),
        "tags.tag" => Some(Term::Tag(text)),
        "resource_type" => Some(Term::Type(text)),
        _ => None,
    }
}

fn meets(test: &Test, object: &Object) -> bool {
    match test {
        Test::All(tests) => tests.iter().all(|test| meets(test, object)),
        Test::Any(tests) => tests.iter().any(|test| meets(test, object)),
        Test::Not(test) => !meets(test, object),
        Test::Field(field, pattern) => {
            let path: Vec<&str> = field.split('.').filter(|part| !part.is_empty()).collect();
            object.body.iter().any(|(name, value)| match path.split_first() {
                Some((first, rest)) => first == name && reaches(value, rest, pattern),
                None => reaches(value, &[], pattern),
            })
        }
    }
}

fn reaches(value: &Value, path: &[&str], pattern: &Pattern) -> bool {
    match (value, path) {
        (Value::Array(values), _) => values.iter().any(|value| reaches(value, path, pattern)),
        (Value::Object(fields), [first, rest @ ..]) => fields
            .get(*first)
            .is_some_and(|value| reaches(value, rest, pattern)),
        (Value::String(text), []) => pattern.fits(&text.to_lowercase()),
        (Value::Bool(_) | Value::Number(_), []) => pattern.fits(&value.to_string()),
        _ => false,
    }
}

impl Pattern {
    /// The text, if it has no wildcards.
    fn literal(&self) -> Option<String> {
        self.0
            .iter()
            .map(|glyph| {
                if let Glyph::One(letter) = glyph {
                    Some(*letter)
                } else {
                    None
                }
            })
            .collect()
    }

    fn fits(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        fits(&self.0, &letters)
    }
}

fn fits(pattern: &[Glyph], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((Glyph::AnyMany, rest)), _) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        (Some((Glyph::AnyOne, rest)), Some((_, tail))) => fits(rest, tail),
        (Some((Glyph::One(wanted), rest)), Some((letter, tail))) => wanted == letter && fits(rest, tail),
        _ => false,
    }
}

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A field name before a colon.
    Name(String),
    Word(Pattern),
}

fn parse(query: &str) -> Result<Test> {
    let tokens = tokens(query)?;
    let mut rest = tokens.as_slice();
    let test = either(&mut rest)?;
    if rest.is_empty() {
        Ok(test)
    } else {
        Err(malformed())
    }
}

fn malformed() -> ApiError {
    ApiError::invalid("The query can't be parsed.")
}

fn either(rest: &mut &[Token]) -> Result<Test> {
    let mut tests = vec![every(rest)?];
    while let [Token::Or, after @ ..] = rest {
        *rest = after;
        tests.push(every(rest)?);
    }
    Ok(single_or(tests, Test::Any))
}

fn every(rest: &mut &[Token]) -> Result<Test> {
    let mut tests = vec![one(rest)?];
    loop {
        match rest {
            [Token::And, after @ ..] => *rest = after,
            [] | [Token::Or | Token::Close, ..] => return Ok(single_or(tests, Test::All)),
            _ => {}
        }
        tests.push(one(rest)?);
    }
}

fn single_or(mut tests: Vec<Test>, many: fn(Vec<Test>) -> Test) -> Test {
    if tests.len() == 1 {
        tests.remove(0)
    } else {
        many(tests)
    }
}

fn one(rest: &mut &[Token]) -> Result<Test> {
    let (first, after) = rest.split_first().ok_or_else(malformed)?;
    *rest = after;
    match first {
        Token::Not => one(rest).map(|test| Test::Not(Box::new(test))),
        Token::Open => grouped(rest),
        Token::Word(pattern) => Ok(Test::Field(String::new(), pattern.clone())),
        Token::Name(name) => value_of(name, rest),
        _ => Err(malformed()),
    }
}

fn grouped(rest: &mut &[Token]) -> Result<Test> {
    let test = either(rest)?;
    match rest {
        [Token::Close, after @ ..] => *rest = after,
        _ => return Err(malformed()),
    }
    Ok(test)
}

/// `field:term` or `field:(term OR term)`.
fn value_of(name: &str, rest: &mut &[Token]) -> Result<Test> {
    match rest.split_first() {
        Some((Token::Word(pattern), after)) => {
            *rest = after;
            Ok(Test::Field(name.to_owned(), pattern.clone()))
        }
        Some((Token::Open, after)) => {
            *rest = after;
            grouped(rest).map(|test| named(test, name))
        }
        _ => Err(malformed()),
    }
}

fn named(test: Test, name: &str) -> Test {
    match test {
        Test::Field(field, pattern) if field.is_empty() => Test::Field(name.to_owned(), pattern),
        Test::All(tests) => Test::All(tests.into_iter().map(|test| named(test, name)).collect()),
        Test::Any(tests) => Test::Any(tests.into_iter().map(|test| named(test, name)).collect()),
        Test::Not(test) => Test::Not(Box::new(named(*test, name))),
        other => other,
    }
}

fn tokens(query: &str) -> Result<Vec<Token>> {
    let mut letters = query.chars().peekable();
    let mut found = Vec::new();
    while let Some(letter) = letters.peek().copied() {
        match letter {
            ' ' => drop(letters.next()),
            '(' | ')' => {
                letters.next();
                found.push(if letter == '(' { Token::Open } else { Token::Close });
            }
            '"' => {
                letters.next();
                found.push(Token::Word(phrase(&mut letters)?));
            }
            _ => found.push(word(&mut letters, matches!(found.last(), Some(Token::Name(_))))?),
        }
    }
    Ok(found)
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn phrase(letters: &mut Letters<'_>) -> Result<Pattern> {
    let mut glyphs = Vec::new();
    loop {
        match letters.next().ok_or_else(malformed)? {
            '"' => return Ok(Pattern(glyphs)),
            '\\' => lower(letters.next().ok_or_else(malformed)?, &mut glyphs),
            letter => lower(letter, &mut glyphs),
        }
    }
}

fn lower(letter: char, glyphs: &mut Vec<Glyph>) {
    glyphs.extend(letter.to_lowercase().map(Glyph::One));
}

/// A word up to a space or parenthesis; up to the first bare colon it is a field's name, unless it is a value.
fn word(letters: &mut Letters<'_>, value: bool) -> Result<Token> {
    let (mut glyphs, mut raw) = (Vec::new(), String::new());
    while let Some(letter) = letters.peek().copied() {
        match letter {
            ' ' | '(' | ')' => break,
            ':' if !value => {
                letters.next();
                return Ok(Token::Name(raw));
            }
            _ => {}
        }
        letters.next();
        match letter {
            '\\' => {
                let escaped = letters.next().ok_or_else(malformed)?;
                raw.push(escaped);
                lower(escaped, &mut glyphs);
                continue;
            }
            '?' => glyphs.push(Glyph::AnyOne),
            '*' => glyphs.push(Glyph::AnyMany),
            _ => lower(letter, &mut glyphs),
        }
        raw.push(letter);
    }
    Ok(match raw.as_str() {
        "AND" => Token::And,
        "OR" => Token::Or,
        "NOT" => Token::Not,
        _ => Token::Word(Pattern(glyphs)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn found(query: &str) -> bool {
        let body = json!({
            "resource_type": "LogicalPort", "display_name": "Web-1",
            "tags": [{ "scope": "ncp/cluster", "tag": "c1" }, { "scope": "ncp/project", "tag": "my org" }],
            "attachment": { "context": { "parent_vif_id": "v:1" } },
        });
        let body = body.as_object().unwrap().clone();
        let object = Object {
            kind: Kind::LogicalPort,
            id: "p".into(),
            parent: None,
            seq: 0,
            uid: 0,
            body,
        };
        meets(&parse(query).unwrap(), &object)
    }

    #[test]
    fn terms_are_found_whatever_their_case_and_escapes() {
        assert!(found(
            r"resource_type:LogicalPort AND tags.scope:ncp\/cluster AND tags.tag:C1"
        ));
        assert!(found("resource_type:logicalport AND tags.scope:ncp/cluster"));
        assert!(found(r"attachment.context.parent_vif_id:v\:1"));
        assert!(found("attachment.context.parent_vif_id:v:1"));
        assert!(found(r#"tags.tag:"my org" AND display_name:web-?"#));
        assert!(found(r"tags.tag:my\ org"));
        assert!(found("web*"));
    }

    #[test]
    fn scope_and_tag_are_not_held_together() {
        assert!(found(r"tags.scope:ncp\/project AND tags.tag:c1"));
        assert!(!found(r"tags.scope:ncp\/other AND tags.tag:c1"));
    }

    #[test]
    fn words_combine() {
        assert!(found(
            "NOT display_name:x AND (display_name:y OR display_name:web*)"
        ));
        assert!(found("resource_type:(LogicalSwitch OR LogicalPort)"));
        assert!(!found("display_name:(x OR y)"));
        assert!(parse("tags.scope:").is_err());
        assert!(parse("(a").is_err());
    }
}
