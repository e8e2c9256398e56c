//! One instruction as a value: what the control API takes, the command line sends, and tests may use.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::faults::{Fault, LocketFaults, PolicyFaults, StreamFaults};
use crate::model::objects::{Lifecycle, Phase};
use crate::options::Delays;

/// An instruction. Apps are named by guid, `org/space/app`, `space/app`, or a name only one has; spaces
/// likewise; the rest by guid or name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Subcommand)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Make an organization.
    CreateOrg {
        /// Its name.
        name: String,
    },
    /// Make a space.
    CreateSpace {
        /// Its organization.
        org: String,
        /// Its name.
        name: String,
    },
    /// Rename an organization.
    RenameOrg {
        /// The organization.
        org: String,
        /// Its new name.
        name: String,
    },
    /// Rename a space.
    RenameSpace {
        /// The space.
        space: String,
        /// Its new name.
        name: String,
    },
    /// Delete an organization with all that is in it.
    DeleteOrg {
        /// The organization.
        org: String,
    },
    /// Delete a space with all that is in it.
    DeleteSpace {
        /// The space.
        space: String,
    },
    /// Make an isolation segment.
    CreateSegment {
        /// Its name.
        name: String,
    },
    /// Put a space into an isolation segment.
    AssignSegment {
        /// The space.
        space: String,
        /// The segment; none takes the space out.
        segment: Option<String>,
    },
    /// Make an app and start it.
    Push {
        /// Its space.
        space: String,
        /// Its name.
        name: String,
        /// Instances of its web process.
        #[arg(long, default_value_t = 1)]
        #[serde(default = "one")]
        instances: i32,
        /// A variable, NAME=VALUE; may be repeated.
        #[arg(long = "env", value_parser = assignment)]
        #[serde(default)]
        env: Vec<(String, String)>,
        /// How it becomes a container.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        lifecycle: Lifecycle,
        /// Instances of a worker process beside it.
        #[arg(long)]
        #[serde(default)]
        workers: Option<i32>,
        /// Stage it first.
        #[arg(long)]
        #[serde(default)]
        staged: bool,
    },
    /// Change the number of instances.
    Scale {
        /// The app.
        app: String,
        /// Wanted instances.
        instances: i32,
        /// The type of its process.
        #[arg(long, default_value = "web")]
        #[serde(default = "web")]
        process: String,
    },
    /// Start a stopped app.
    Start {
        /// The app.
        app: String,
    },
    /// Stop an app.
    Stop {
        /// The app.
        app: String,
    },
    /// Start an app under a new version.
    Restart {
        /// The app.
        app: String,
    },
    /// Stage an app again and start it under a new version.
    Restage {
        /// The app.
        app: String,
    },
    /// Replace an app's web process by a rolling deployment.
    Deploy {
        /// The app.
        app: String,
    },
    /// Delete an app.
    Delete {
        /// The app.
        app: String,
    },
    /// Rename an app.
    RenameApp {
        /// The app.
        app: String,
        /// Its new name.
        name: String,
    },
    /// Set a variable of an app; containers see it at their next start.
    SetEnv {
        /// The app.
        app: String,
        /// Name of the variable.
        name: String,
        /// Its value; none unsets it.
        value: Option<String>,
    },
    /// Set a variable of all apps.
    SetEnvGroup {
        /// For instances and tasks, or for staging.
        #[arg(value_enum)]
        phase: Phase,
        /// Name of the variable.
        name: String,
        /// Its value; none unsets it.
        value: Option<String>,
    },
    /// Let an instance crash.
    Crash {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
        /// The reason given.
        #[arg(long, default_value = "APP/PROC/WEB: Exited with status 1")]
        #[serde(default = "reason")]
        reason: String,
    },
    /// Let a CRASHED instance be wanted again.
    RestartCrashed {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
    },
    /// Restart one instance.
    RestartInstance {
        /// The app.
        app: String,
        /// Its index.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        index: i32,
    },
    /// Change an instance's readiness.
    SetRoutable {
        /// The app.
        app: String,
        /// Its index.
        index: i32,
        /// Ready or not.
        #[arg(action = clap::ArgAction::Set)]
        routable: bool,
    },
    /// Add a cell.
    AddCell {
        /// Its id.
        id: String,
        /// An isolation segment it belongs to; may be repeated.
        #[arg(long = "tag")]
        #[serde(default)]
        tags: Vec<String>,
        /// Containers it can hold.
        #[arg(long, default_value_t = 250)]
        #[serde(default = "capacity")]
        containers: usize,
    },
    /// Drain a cell.
    Evacuate {
        /// The cell.
        cell: String,
    },
    /// Let a cell's presence lapse.
    LoseCell {
        /// The cell.
        cell: String,
    },
    /// Let a lost or drained cell come back.
    ReturnCell {
        /// The cell.
        cell: String,
    },
    /// Keep new instances unclaimed, or place them again.
    HoldPlacement {
        /// Hold or release.
        #[arg(action = clap::ArgAction::Set)]
        hold: bool,
    },
    /// Run a command of an app as a task.
    RunTask {
        /// The app.
        app: String,
        /// The command.
        run: String,
        /// The task's name.
        #[arg(long)]
        #[serde(default)]
        name: Option<String>,
    },
    /// End a task.
    FinishTask {
        /// Its guid.
        task: String,
        /// Why it failed, if it did.
        #[arg(long)]
        #[serde(default)]
        failure: Option<String>,
    },
    /// Begin to stage an app.
    Stage {
        /// The app.
        app: String,
    },
    /// End staging; the app starts under a new version.
    FinishStaging {
        /// The build's guid.
        build: String,
    },
    /// Make a security group.
    CreateSecurityGroup {
        /// Its name.
        name: String,
        /// Its rules, a JSON array.
        #[arg(value_parser = rules)]
        rules: Rules,
    },
    /// Replace a security group's rules. They are stored as they are, odd ones too.
    UpdateSecurityGroup {
        /// The group.
        group: String,
        /// Its rules, a JSON array.
        #[arg(value_parser = rules)]
        rules: Rules,
    },
    /// Delete a security group.
    DeleteSecurityGroup {
        /// The group.
        group: String,
    },
    /// Bind a security group to a space.
    BindSecurityGroup {
        /// The group.
        group: String,
        /// The space.
        space: String,
        /// For instances and tasks, or for staging.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        phase: Phase,
    },
    /// Unbind a security group from a space.
    UnbindSecurityGroup {
        /// The group.
        group: String,
        /// The space.
        space: String,
        /// For instances and tasks, or for staging.
        #[arg(long, value_enum, default_value_t)]
        #[serde(default)]
        phase: Phase,
    },
    /// Put a security group into a global set, or take it out.
    SetGlobalSecurityGroup {
        /// The group.
        group: String,
        /// For instances and tasks, or for staging.
        #[arg(value_enum)]
        phase: Phase,
        /// In or out.
        #[arg(action = clap::ArgAction::Set)]
        enabled: bool,
    },
    /// Let one app dial another.
    AddNetworkPolicy(#[command(flatten)] PolicySpec),
    /// No longer let one app dial another.
    RemoveNetworkPolicy(#[command(flatten)] PolicySpec),
    /// Move the policies' change token without a change, or backwards by so many seconds.
    MovePolicyToken {
        /// Seconds backwards; 0 moves forwards.
        #[arg(default_value_t = 0)]
        #[serde(default)]
        backwards: i64,
    },
    /// Stop declaring a domain complete, at once.
    ExpireDomain {
        /// Its name.
        domain: String,
    },
    /// Let Cloud Controller keep its domains complete, or let them lapse.
    SyncDomains {
        /// Whether it does.
        #[arg(action = clap::ArgAction::Set)]
        synced: bool,
    },
    /// Give a lock to another owner.
    SeizeLock {
        /// Its key.
        key: String,
        /// The new owner.
        #[arg(default_value = "somebody-else")]
        owner: String,
        /// Seconds it is held.
        #[arg(long, default_value_t = 15)]
        #[serde(default = "ttl")]
        ttl: u64,
    },
    /// Free a lock whoever holds it.
    FreeLock {
        /// Its key.
        key: String,
    },
    /// Make all tokens invalid.
    RevokeTokens,
    /// Arm a fault of requests.
    #[command(skip)]
    ArmFault(Fault),
    /// Set the faults of event streams.
    #[command(skip)]
    StreamFaults(StreamFaults),
    /// Set the faults of Locket.
    #[command(skip)]
    LocketFaults(LocketFaults),
    /// Set the faults of the policy server.
    #[command(skip)]
    PolicyFaults(PolicyFaults),
    /// Change how long steps of a container's life take.
    #[command(skip)]
    SetDelays(Delays),
    /// Disarm all faults.
    ClearFaults,
    /// Forget the request log.
    ClearRequests,
}

/// Rules of a security group.
pub type Rules = Vec<Value>;

/// A policy as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// The app that dials.
    #[serde(rename = "from")]
    pub source: String,
    /// The app that is dialled.
    #[serde(rename = "to")]
    pub destination: String,
    /// tcp or udp.
    #[arg(long, default_value = "tcp")]
    #[serde(default = "tcp")]
    pub protocol: String,
    /// A port, or a range as 8080-8090.
    #[arg(long, default_value = "8080")]
    #[serde(default = "port")]
    pub ports: String,
}

fn one() -> i32 {
    1
}
fn web() -> String {
    "web".to_owned()
}
fn reason() -> String {
    "APP/PROC/WEB: Exited with status 1".to_owned()
}
fn capacity() -> usize {
    250
}
fn ttl() -> u64 {
    15
}
fn tcp() -> String {
    "tcp".to_owned()
}
fn port() -> String {
    "8080".to_owned()
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn rules(text: &str) -> Result<Rules, String> {
    serde_json::from_str(text).map_err(|error| format!("rules must be a JSON array: {error}"))
}
