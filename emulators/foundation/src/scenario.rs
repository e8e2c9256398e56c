//! What is on a foundation, as YAML: organizations with their spaces and apps, security groups, policies,
//! cells and environment variable groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::PolicySpec;
use crate::model::World;
use crate::model::apps::AppSpec;
use crate::model::error::WorldError;
use crate::model::objects::Phase;
use crate::model::security_groups::Via;
use crate::options::CellSpec;

/// The foundation that is there unless another is asked for.
const DEFAULT: &str = include_str!("../scenarios/default.yml");

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is no YAML of the known form.
    #[error("the scenario cannot be read")]
    Yaml(#[from] serde_norway::Error),
    /// It contradicts itself or what is there already.
    #[error("the scenario cannot be loaded")]
    World(#[from] WorldError),
}

/// A foundation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Cells beside those the foundation was started with.
    pub cells: Vec<CellSpec>,
    /// Variables of all apps.
    pub env_groups: EnvGroupSpecs,
    /// Isolation segments.
    pub segments: Vec<String>,
    /// Organizations.
    pub orgs: Vec<OrgSpec>,
    /// Security groups.
    pub security_groups: Vec<SecurityGroupSpec>,
    /// Container-to-container policies.
    pub policies: Vec<PolicySpec>,
}

/// Variables of all apps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnvGroupSpecs {
    /// For instances and tasks.
    pub running: BTreeMap<String, String>,
    /// For staging.
    pub staging: BTreeMap<String, String>,
}

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgSpec {
    /// Its name.
    pub name: String,
    /// Its spaces.
    #[serde(default)]
    pub spaces: Vec<SpaceSpec>,
}

/// A space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceSpec {
    /// Its name.
    pub name: String,
    /// Its isolation segment.
    #[serde(default)]
    pub segment: Option<String>,
    /// Its apps.
    #[serde(default)]
    pub apps: Vec<AppSpec>,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupSpec {
    /// Its name.
    pub name: String,
    /// Its rules, stored as they are.
    pub rules: Vec<Value>,
    /// The global sets it is in.
    #[serde(default)]
    pub global: Vec<Phase>,
    /// Spaces it is bound to, for instances and tasks.
    #[serde(default)]
    pub spaces: Vec<String>,
    /// Spaces it is bound to, for staging.
    #[serde(default)]
    pub staging_spaces: Vec<String>,
}

impl Scenario {
    /// Reads YAML.
    ///
    /// # Errors
    /// [`ScenarioError::Yaml`] with the place of the mistake.
    pub fn from_yaml(text: &str) -> Result<Self, ScenarioError> {
        Ok(serde_norway::from_str(text)?)
    }

    /// The built-in foundation: several organizations and spaces, a few dozen instances, Cloud Foundry's
    /// default security groups and own ones, policies, an app with addresses of its own.
    ///
    /// # Errors
    /// None in a released version: the file is compiled in, and a test reads it.
    pub fn built_in() -> Result<Self, ScenarioError> {
        Self::from_yaml(DEFAULT)
    }
}

impl World {
    /// Adds all that a scenario lists: groups before apps, so that apps start with their rules.
    pub(crate) fn load(&mut self, scenario: &Scenario) -> Result<(), WorldError> {
        scenario.cells.iter().for_each(|cell| self.add_cell(cell));
        for (phase, group) in [
            (Phase::Running, &scenario.env_groups.running),
            (Phase::Staging, &scenario.env_groups.staging),
        ] {
            group
                .iter()
                .for_each(|(name, value)| self.set_env_group(phase, name.clone(), Some(value.clone())));
        }
        for segment in &scenario.segments {
            self.create_segment(segment)?;
        }
        self.load_spaces(&scenario.orgs)?;
        scenario
            .security_groups
            .iter()
            .try_for_each(|group| self.load_security_group(group))?;
        for org in &scenario.orgs {
            for space in &org.spaces {
                self.load_apps(org, space)?;
            }
        }
        for spec in &scenario.policies {
            let policy = self.policy(spec)?;
            self.add_policies(vec![policy]);
        }
        Ok(())
    }

    fn load_spaces(&mut self, orgs: &[OrgSpec]) -> Result<(), WorldError> {
        for org in orgs {
            let guid = self.create_org(&org.name)?;
            for space in &org.spaces {
                let space_guid = self.create_space(&guid, &space.name)?;
                if space.segment.is_some() {
                    self.assign_segment(&space_guid, space.segment.as_deref())?;
                }
            }
        }
        Ok(())
    }

    fn load_security_group(&mut self, group: &SecurityGroupSpec) -> Result<(), WorldError> {
        let guid = self.create_security_group(&group.name, group.rules.clone(), Via::V3)?;
        for phase in &group.global {
            self.set_global(&guid, *phase, true, Via::V3)?;
        }
        for (phase, spaces) in [
            (Phase::Running, &group.spaces),
            (Phase::Staging, &group.staging_spaces),
        ] {
            spaces
                .iter()
                .try_for_each(|space| self.bind(&guid, space, phase, Via::V3))?;
        }
        Ok(())
    }

    fn load_apps(&mut self, org: &OrgSpec, space: &SpaceSpec) -> Result<(), WorldError> {
        let space_guid = self
            .space(&format!("{}/{}", org.name, space.name))?
            .meta
            .guid
            .clone();
        for app in &space.apps {
            self.push(&AppSpec {
                space: space_guid.clone(),
                ..app.clone()
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenario_reads_and_survives_yaml() {
        let scenario = Scenario::built_in().unwrap();
        let text = serde_norway::to_string(&scenario).unwrap();
        assert_eq!(Scenario::from_yaml(&text).unwrap(), scenario);
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(Scenario::from_yaml("orgz: []").is_err());
    }
}
