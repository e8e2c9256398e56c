//! Which published call a request is.

use serde_json::Value;

use super::schema::{self, Direction};
use super::{Fault, Finding};

/// A published call.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    document: &'a Value,
    template: &'a str,
    call: &'a Value,
}

impl<'a> Operation<'a> {
    pub(super) fn find(document: &'a Value, method: &str, path: &str, query: &str) -> Option<Self> {
        let path = path.strip_prefix("/api/v1").unwrap_or(path).trim_end_matches('/');
        let method = method.to_lowercase();
        let paths = document.get("paths")?.as_object()?;
        let fitting = paths.iter().filter_map(|(template, calls)| {
            let call = calls.get(&method)?;
            let score = fit(template, path, query)?;
            Some((
                score,
                Operation {
                    document,
                    template,
                    call,
                },
            ))
        });
        fitting
            .max_by_key(|(score, _)| *score)
            .map(|(_, operation)| operation)
    }

    /// The path with its placeholders.
    pub fn template(&self) -> &'a str {
        self.template
    }

    pub(super) fn request(&self, body: Option<&Value>) -> Vec<Finding> {
        let parameters = self.call.get("parameters").and_then(Value::as_array);
        let wanted = parameters
            .into_iter()
            .flatten()
            .find(|one| one.get("in").is_some_and(|place| place == "body"));
        match (wanted.and_then(|wanted| wanted.get("schema")), body) {
            (Some(schema), Some(body)) => schema::check(self.document, schema, body, Direction::Request),
            (Some(_), None) => vec![finding(Fault::Missing, "a body")],
            // A body that isn't asked for is ignored.
            (None, _) => Vec::new(),
        }
    }

    pub(super) fn response(&self, status: u16, body: Option<&Value>) -> Vec<Finding> {
        let responses = self.call.get("responses");
        let code = status.to_string();
        let Some(known) = responses.and_then(|responses| responses.get(&code)) else {
            // Refusals of the proxy in front of the API are in no definition.
            return if status >= 400 {
                Vec::new()
            } else {
                vec![finding(Fault::Status, "a published status")]
            };
        };
        match (known.get("schema"), body) {
            (Some(schema), Some(body)) => schema::check(self.document, schema, body, Direction::Answer),
            (Some(_), None)
                if self.template.contains("{pool-id}") || self.template.contains("{subnet-id}") =>
            {
                // RELEASE shares its definition with ALLOCATE but answers nothing.
                Vec::new()
            }
            (Some(_), None) => vec![finding(Fault::Missing, "a body")],
            (None, _) => Vec::new(),
        }
    }
}

fn finding(fault: Fault, expected: &str) -> Finding {
    Finding {
        fault,
        place: String::new(),
        expected: expected.to_owned(),
    }
}

/// How well a template fits: literal segments, then an action; `None` if it doesn't.
fn fit(template: &str, path: &str, query: &str) -> Option<(usize, usize)> {
    let (template, wanted) = template.split_once('?').unwrap_or((template, ""));
    let has_all = wanted
        .split('&')
        .filter(|pair| !pair.is_empty())
        .all(|pair| query.split('&').any(|sent| sent == pair));
    let (ours, theirs): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
    if !has_all || ours.len() != theirs.len() {
        return None;
    }
    let mut literal = 0;
    for (ours, theirs) in ours.iter().zip(theirs) {
        if ours == &theirs {
            literal += 1;
        } else if !theirs.starts_with('{') {
            return None;
        }
    }
    Some((literal, wanted.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_literal_template_with_its_action_wins() {
        assert_eq!(fit("/a/{id}", "/a/b", ""), Some((2, 0)));
        assert_eq!(fit("/a/b", "/a/b", ""), Some((3, 0)));
        assert_eq!(fit("/a?action=x", "/a", "action=x&id=1"), Some((2, 8)));
        assert_eq!(fit("/a?action=x", "/a", "action=y"), None);
        assert_eq!(fit("/a/{id}/c", "/a/b", ""), None);
    }
}
