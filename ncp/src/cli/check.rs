//! `ncp check`: is the configuration right, and does what it names answer?

use super::{ConfigFile, Exit};
use crate::check::{Finding, Verdict, reach, worst};
use crate::config::{Config, Mistakes};
use clap::Args;
use std::io::{self, Write};

/// Arguments of `ncp check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
    /// Read the file only; ask nobody
    #[arg(long)]
    offline: bool,
}

/// Reads the file, asks everybody it names, and reports. Changes nothing.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let config = match load(&arguments.config.path) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if report(&config, &mut io::stdout().lock()).is_err() {
        return Exit::Failed;
    }
    if arguments.offline {
        return Exit::Done;
    }
    super::block_on(async {
        let findings = reach(&config).await;
        match print(&findings, &mut io::stdout().lock()) {
            Ok(()) => exit(worst(&findings)),
            Err(_) => Exit::Failed,
        }
    })
}

/// Loads the configuration of a subcommand that needs one; its mistakes are printed.
pub(super) fn load(path: &std::path::Path) -> Result<Config, Exit> {
    Config::load(path).map_err(|mistakes| {
        // Nothing is left to do when even this can't be printed.
        let _unprintable = refuse(&mistakes, &mut io::stderr().lock());
        Exit::Configuration
    })
}

fn refuse(mistakes: &Mistakes, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{mistakes}")?;
    let count = mistakes.list.len();
    let plural = if count == 1 { "mistake" } else { "mistakes" };
    writeln!(to, "{count} {plural} in {}", mistakes.file.display())
}

fn report(config: &Config, to: &mut impl Write) -> io::Result<()> {
    for notice in &config.notices {
        writeln!(to, "note  {}", notice.at(&config.file))?;
    }
    writeln!(
        to,
        "ok    {}: no mistakes; cluster {}",
        config.file.display(),
        config.coe.cluster.as_str()
    )
}

fn print(findings: &[Finding], to: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        writeln!(to, "{finding}")?;
    }
    let wrong = |f: &&Finding| matches!(f.verdict, Verdict::Failed | Verdict::Mistake);
    match findings.iter().filter(wrong).count() {
        0 => writeln!(to, "all is well"),
        1 => writeln!(to, "1 thing is wrong"),
        count => writeln!(to, "{count} things are wrong"),
    }
}

fn exit(worst: Verdict) -> Exit {
    match worst {
        Verdict::Good | Verdict::Note => Exit::Done,
        Verdict::Failed => Exit::Failed,
        Verdict::Mistake => Exit::Configuration,
    }
}
