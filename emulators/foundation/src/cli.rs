//! The command line: one subcommand, one request to the control API.
//!
//! It lives in the library so that other programs can offer the same subcommands.

use std::io::{self, Write};

use serde_json::Value;

use crate::command::Command;

/// Drives a running foundation emulator.
#[derive(Clone, Debug, clap::Parser)]
pub struct Cli {
    /// URL of the control API, as the emulator prints it at start.
    #[arg(
        long,
        env = "FOUNDATION_CONTROL",
        default_value = "http://127.0.0.1:8900",
        global = true
    )]
    pub control: String,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(Clone, Debug, clap::Subcommand)]
#[non_exhaustive]
pub enum Action {
    /// Change the foundation.
    #[command(flatten)]
    Command(Command),
    /// Show what there is.
    Status {
        /// As JSON, complete.
        #[arg(long)]
        json: bool,
    },
    /// Show the URLs of all services.
    Endpoints,
    /// Show how often what was asked.
    Requests,
    /// Move the BBS to its next address.
    FailOver {
        /// Cut connections instead of ending them.
        #[arg(long)]
        abrupt: bool,
    },
}

/// Why an instruction did not get through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Nobody answers.
    #[error("the control API at {url} does not answer; is the emulator running, and is --control right?")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// The foundation says no.
    #[error("{0}")]
    Refused(String),
    /// The output cannot be written.
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
}

/// Carries out one command line and writes the answer.
///
/// # Errors
/// [`CliError`] when the control API is unreachable or refuses.
pub async fn run(cli: &Cli, out: &mut impl Write) -> Result<(), CliError> {
    let answer = send(cli).await?;
    match &cli.action {
        Action::Status { json: false } => status(&answer, out)?,
        Action::Requests => requests(&answer, out)?,
        Action::Command(_) => match answer["guid"].as_str() {
            Some(guid) => writeln!(out, "{guid}")?,
            None => writeln!(out, "OK")?,
        },
        _ => writeln!(out, "{answer:#}")?,
    }
    Ok(())
}

async fn send(cli: &Cli) -> Result<Value, CliError> {
    let client = reqwest::Client::builder().no_proxy().build();
    let base = cli.control.trim_end_matches('/');
    let unreachable = |source| CliError::Unreachable {
        url: base.to_owned(),
        source,
    };
    let client = client.map_err(unreachable)?;
    let request = match &cli.action {
        Action::Command(command) => client.post(format!("{base}/commands")).json(command),
        Action::Status { .. } => client.get(format!("{base}/status")),
        Action::Endpoints => client.get(format!("{base}/endpoints")),
        Action::Requests => client.get(format!("{base}/requests")),
        Action::FailOver { abrupt } => client.post(format!(
            "{base}/fail-over?mode={}",
            if *abrupt { "abrupt" } else { "clean" }
        )),
    };
    let response = request.send().await.map_err(unreachable)?;
    let success = response.status().is_success();
    let answer: Value = response.json().await.map_err(unreachable)?;
    if success {
        Ok(answer)
    } else {
        Err(CliError::Refused(
            answer["error"]
                .as_str()
                .unwrap_or("refused without a reason")
                .to_owned(),
        ))
    }
}

fn rows<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer[key].as_array().into_iter().flatten()
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or("-")
}

fn name_of<'a>(answer: &'a Value, key: &str, guid: &'a str) -> &'a str {
    rows(answer, key)
        .find(|row| row["guid"] == guid)
        .map_or(guid, |row| text(row, "name"))
}

fn status(answer: &Value, out: &mut impl Write) -> io::Result<()> {
    for cell in rows(answer, "cells") {
        writeln!(
            out,
            "cell {:<20} {:<9} {:>4} containers",
            text(cell, "id"),
            text(cell, "state"),
            cell["containers"]
        )?;
    }
    for app in rows(answer, "apps") {
        let guid = text(app, "guid");
        let space = rows(answer, "spaces").find(|row| row["guid"] == app["space"]);
        let org = space.map_or("-", |space| name_of(answer, "orgs", text(space, "org")));
        let running = rows(answer, "containers")
            .filter(|row| row["app"] == guid && row["state"] == "RUNNING")
            .count();
        let state = if app["started"] == true {
            "started"
        } else {
            "stopped"
        };
        let name = format!(
            "{org}/{}/{}",
            space.map_or("-", |space| text(space, "name")),
            text(app, "name")
        );
        writeln!(out, "app  {name:<40} {state:<8} {running:>4} running")?;
    }
    let count = |key: &str| rows(answer, key).count();
    writeln!(
        out,
        "{} security groups, {} policies, {} containers",
        count("security_groups"),
        count("policies"),
        count("containers")
    )
}

fn requests(answer: &Value, out: &mut impl Write) -> io::Result<()> {
    for row in answer.as_array().into_iter().flatten() {
        writeln!(
            out,
            "{:>8}  {:<16} {}",
            row["count"],
            text(row, "service"),
            text(row, "request")
        )?;
    }
    Ok(())
}
