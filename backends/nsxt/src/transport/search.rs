//! The search language of NSX, as far as objects are found by type and tags.
//!
//! The index lags behind the store by seconds and does not tie a tag's scope to its value, so a hit is a hint that
//! must be checked against the object itself, and a miss proves nothing (nsx-mp-api §1.11).

use std::fmt;

/// Escapes a term: a backslash before each character that has a meaning in the language.
///
/// A backslash itself is escaped too, else a name that ends in one would swallow what follows.
pub fn escape_term(term: &str) -> String {
    let mut escaped = String::with_capacity(term.len() + 4);
    for character in term.chars() {
        if matches!(
            character,
            '/' | '-' | ':' | '(' | ')' | '"' | ' ' | '\\' | '*' | '?'
        ) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A search: conditions joined by AND. Values are escaped as they are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// All objects of a resource type.
    pub fn of_type(resource_type: &str) -> Self {
        Self(format!("resource_type:{}", escape_term(resource_type)))
    }

    /// Only those with this tag. NSX does not correlate scope and value; check the hits.
    #[must_use]
    pub fn tagged(self, scope: &str, tag: &str) -> Self {
        self.where_field("tags.scope", scope).where_field("tags.tag", tag)
    }

    /// Only those whose (possibly nested) field holds this value.
    #[must_use]
    pub fn where_field(mut self, field: &str, value: &str) -> Self {
        self.0.push_str(&format!(" AND {field}:{}", escape_term(value)));
        self
    }

    /// The text that goes into `query=`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Query {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_tags_and_nested_fields_are_joined_and_escaped() {
        let query = Query::of_type("LogicalPort")
            .tagged("ncp/cluster", "cf 1")
            .where_field("attachment.context.parent_vif_id", "a-b");
        assert_eq!(
            query.as_str(),
            r"resource_type:LogicalPort AND tags.scope:ncp\/cluster AND tags.tag:cf\ 1 AND attachment.context.parent_vif_id:a\-b"
        );
    }

    #[test]
    fn no_character_of_the_language_passes_unescaped() {
        assert_eq!(escape_term(r#"a"b(c)d:e\f*g?"#), r#"a\"b\(c\)d\:e\\f\*g\?"#);
        assert_eq!(escape_term("plain.name_1"), "plain.name_1");
    }
}
