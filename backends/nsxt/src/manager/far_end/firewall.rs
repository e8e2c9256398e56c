//! Sections and their rules.
//!
//! Since 2.4 a new rule must carry its section's present revision, so the section is read first. The
//! rules of one request stand or fall together; when they are refused for what they say, the request is
//! halved until the bad one stands alone, so that it holds back nothing but itself.

use ncp_core::code::Code;
use ncp_core::dialect::{Failure, Outcome, Step, StepId};
use ncp_core::id::Name;
use ncp_core::intent::Tier;
use ncp_core::topology::{ObjectKey, SectionKey};
use serde_json::{Value, json};

use super::outcome::{Deed, is_content, outcome};
use super::write::{handle_id, unread};
use super::{NsxFarEnd, paths, refused};
use crate::manager::body::{Apart, Body};
use crate::manager::dialect::{Manager, Op};
use crate::manager::json::{bare, decode, encode, id, list, rule_key, tagged, tags, text};
use crate::manager::part::Handle;
use crate::manager::tags::{LOGS, TIER};
use crate::transport::{Deadline, TransportError};

type Outcomes = Vec<(StepId, Outcome<Manager>)>;
type Place = Vec<(&'static str, String)>;

impl NsxFarEnd {
    /// Makes a section, with the rules that ride on it.
    pub(super) async fn make_section(&self, mut steps: Vec<Step<Manager>>, fence: Deadline) -> Outcomes {
        let mut rules = steps.split_off(1);
        let Some(first) = steps.pop() else {
            return Vec::new();
        };
        let Op::Make(body) = &first.op else {
            return Vec::new();
        };
        // Those that log come first, so that the flows they name really meet them.
        rules.sort_by_key(|step| !logs(step));
        match self.post_section(&first, body, &rules, fence).await {
            Ok(made) => self.section_made(&first, &rules, made),
            Err(error) if !rules.is_empty() && is_content(&error) => {
                self.section_alone(&first, body, rules, fence).await
            }
            Err(error) => {
                let all = std::iter::once(&first).chain(&rules);
                all.map(|step| (step.id, outcome(&step.key, Deed::Make, &error)))
                    .collect()
            }
        }
    }

    async fn post_section(
        &self,
        first: &Step<Manager>,
        body: &Body<Handle>,
        rules: &[Step<Manager>],
        fence: Deadline,
    ) -> Result<Result<Value, TransportError>, TransportError> {
        let mut encoded = bare(encode(self.env(), &first.key, body));
        let mut place = self.place(body);
        if !rules.is_empty() {
            place.insert(0, ("action", "create_with_rules".into()));
            encoded["rules"] = rules.iter().filter_map(|step| self.encoded(step)).collect();
        }
        let query: Vec<(&str, &str)> = place.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let answer = self
            .api
            .post("/firewall/sections", &query, Some(&encoded), fence)
            .await?;
        Ok(answer.value())
    }

    fn section_made(
        &self,
        first: &Step<Manager>,
        rules: &[Step<Manager>],
        made: Result<Value, TransportError>,
    ) -> Outcomes {
        let section = made.as_ref().ok().map(id);
        let shown = made
            .as_ref()
            .map(|m| list(m, "rules").to_vec())
            .unwrap_or_default();
        let mut outcomes = vec![(first.id, self.made(&first.key, made))];
        outcomes.extend(rules.iter().map(|step| {
            let outcome = match &section {
                Some(section) => self.rule_made(step, section, &shown),
                None => Outcome::Uncertain,
            };
            (step.id, outcome)
        }));
        outcomes
    }

    /// The section without its rules, then the rules.
    async fn section_alone(
        &self,
        first: &Step<Manager>,
        body: &Body<Handle>,
        rules: Vec<Step<Manager>>,
        fence: Deadline,
    ) -> Outcomes {
        let made = match self.post_section(first, body, &[], fence).await {
            Ok(made) => self.section_made(first, &[], made),
            Err(error) => vec![(first.id, outcome(&first.key, Deed::Make, &error))],
        };
        let section = match made.first() {
            Some((_, Outcome::Done(seen))) => handle_id(&seen.handle),
            // The rules are tried again when their section stands.
            _ => {
                return made
                    .into_iter()
                    .chain(rules.iter().map(|s| (s.id, Outcome::Stale)))
                    .collect();
            }
        };
        let mut outcomes = made;
        outcomes.extend(self.add_rules(&section, rules, fence).await);
        outcomes
    }

    /// Adds rules to a section that stands.
    pub(super) async fn make_rules(&self, steps: Vec<Step<Manager>>, fence: Deadline) -> Outcomes {
        let section = steps.first().and_then(|step| match &step.op {
            Op::Make(Body::Rule(rule)) => Some(handle_id(&rule.section)),
            _ => None,
        });
        match section {
            Some(section) => self.add_rules(&section, steps, fence).await,
            None => Vec::new(),
        }
    }

    async fn add_rules(&self, section: &Name, steps: Vec<Step<Manager>>, fence: Deadline) -> Outcomes {
        let mut outcomes = Vec::with_capacity(steps.len());
        let mut waiting = vec![steps];
        while let Some(mut steps) = waiting.pop() {
            match self.post_rules(section, &steps, fence).await {
                Ok(shown) => {
                    outcomes.extend(steps.iter().map(|s| (s.id, self.rule_made(s, section, &shown))));
                }
                Err(Rejected::Section(outcome)) => {
                    outcomes.extend(steps.iter().map(|s| (s.id, outcome.clone())));
                }
                Err(Rejected::Rules(error)) if steps.len() > 1 && is_content(&error) => {
                    let second = steps.split_off(steps.len() / 2);
                    waiting.extend([second, steps]);
                }
                Err(Rejected::Rules(error)) => {
                    outcomes.extend(steps.iter().map(|s| (s.id, outcome(&s.key, Deed::Make, &error))));
                }
            }
        }
        outcomes
    }

    async fn post_rules(
        &self,
        section: &Name,
        steps: &[Step<Manager>],
        fence: Deadline,
    ) -> Result<Vec<Value>, Rejected> {
        let handle = Handle::Id(section.clone());
        let path = paths::object(self.env(), crate::manager::part::Part::Section, &handle);
        let read = match self.get(&path).await {
            Ok(Some(read)) => read,
            Ok(None) => return Err(Rejected::Section(Outcome::Stale)),
            Err(error) => {
                let key = steps.first().map_or_else(any_section, |step| step.key.clone());
                return Err(Rejected::Section(unread(&key, &error)));
            }
        };
        let most = self.env().limits.rules;
        if read["rule_count"].as_u64().unwrap_or(0) as usize + steps.len() > most {
            let message = format!("section {section} would hold more than {most} rules; write fewer");
            return Err(Rejected::Section(refused(Failure::new(
                Code::FirewallCreationFailed,
                message,
            ))));
        }
        let with_revision = |step: &Step<Manager>| {
            let mut rule = self.encoded(step)?;
            rule["_revision"] = read["_revision"].clone();
            Some(rule)
        };
        let mut rules: Vec<Value> = steps.iter().filter_map(with_revision).collect();
        let operation = if steps.first().is_some_and(logs) {
            "insert_top"
        } else {
            "insert_bottom"
        };
        let path = paths::rules(section);
        let sent = if rules.len() == 1 {
            let rule = rules.pop().unwrap_or_default();
            self.api
                .post(&path, &[("operation", operation)], Some(&rule), fence)
                .await
        } else {
            let query = [("action", "create_multiple"), ("operation", operation)];
            self.api
                .post(&path, &query, Some(&json!({ "rules": rules })), fence)
                .await
        };
        let answer = sent.map_err(Rejected::Rules)?.value();
        Ok(match answer {
            Ok(answer) if answer["rules"].is_array() => list(&answer, "rules").to_vec(),
            Ok(answer) => vec![answer],
            Err(_) => Vec::new(),
        })
    }

    fn encoded(&self, step: &Step<Manager>) -> Option<Value> {
        match &step.op {
            Op::Make(body) => Some(bare(encode(self.env(), &step.key, body))),
            _ => None,
        }
    }

    /// The rule of a step among those that the answer shows, known by its notes.
    fn rule_made(&self, step: &Step<Manager>, section: &Name, shown: &[Value]) -> Outcome<Manager> {
        let of = match &step.key.object {
            ObjectKey::Rule(of, _) => of.clone(),
            _ => return Outcome::Uncertain,
        };
        let found = shown
            .iter()
            .find(|rule| rule_key(&of, rule).as_ref() == Some(&step.key));
        match found {
            Some(rule) if !text(rule, "id").is_empty() => {
                let parent = Handle::Id(section.clone());
                let handle = Handle::Rule {
                    section: section.clone(),
                    rule: id(rule),
                };
                Outcome::Done(decode(self.env(), &step.key, Some(&parent), rule).seen(handle))
            }
            _ => Outcome::Uncertain,
        }
    }

    /// Where a new section goes (R-FW-03, R-FW-04).
    fn place(&self, body: &Body<Handle>) -> Place {
        let at = |operation: &'static str, id: String| vec![("operation", operation.into()), ("id", id)];
        let Body::Section { tier, anchor, .. } = body else {
            return Vec::new();
        };
        let env = self.env();
        match (tier, anchor, &env.top_marker, &env.bottom_marker) {
            (Tier::Allow, Apart(Some(anchor)), ..) => at("insert_after", handle_id(anchor).to_string()),
            (Tier::Operator | Tier::Hold | Tier::Allow, _, Some(top), _) => {
                at("insert_after", top.to_string())
            }
            (Tier::Operator | Tier::Hold | Tier::Allow, _, None, _) => {
                vec![("operation", "insert_top".into())]
            }
            (_, _, _, Some(bottom)) => at("insert_before", bottom.to_string()),
            (_, _, _, None) => vec![("operation", "insert_bottom".into())],
        }
    }

    /// Where a section goes that stands elsewhere among its kind than it should; `None` if it stays.
    /// Sections that operators have moved about by hand stay where they are.
    pub(super) fn moved(&self, body: &Body<Handle>, read: &Value) -> Option<Place> {
        let Body::Section { .. } = body else { return None };
        let wanted = encode(self.env(), &any_section(), body);
        let (was, will) = (tags(read), tags(&wanted));
        let same = [LOGS, TIER]
            .iter()
            .all(|scope| tagged(&was, scope) == tagged(&will, scope));
        (!same).then(|| {
            let mut place = self.place(body);
            place.insert(0, ("action", "revise".into()));
            place
        })
    }
}

/// Why rules were not added.
enum Rejected {
    /// It is not about the rules.
    Section(Outcome<Manager>),
    /// The request was refused or lost.
    Rules(TransportError),
}

fn logs(step: &Step<Manager>) -> bool {
    matches!(&step.op, Op::Make(Body::Rule(rule)) if rule.log)
}

fn any_section() -> ncp_core::dialect::RowKey<crate::manager::part::Part> {
    let hold = SectionKey::Platform(ncp_core::topology::PlatformSection::Hold);
    ncp_core::dialect::RowKey::new(ObjectKey::Section(hold), crate::manager::part::Part::Section)
}
