//! `ncp check`: is the configuration right?

use super::{ConfigFile, Exit};
use crate::config::{Config, Mistakes};
use clap::Args;
use std::io::{self, Write};

/// Arguments of `ncp check`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigFile,
}

/// Reads the file and reports.
pub(super) fn run(arguments: &Arguments) -> Exit {
    let loaded = Config::load(&arguments.config.path);
    let printed = match &loaded {
        Ok(config) => report(config, &mut io::stdout().lock()),
        Err(mistakes) => refuse(mistakes, &mut io::stderr().lock()),
    };
    match (loaded, printed) {
        (Err(_), _) => Exit::Configuration,
        (Ok(_), Ok(())) => Exit::Done,
        (Ok(_), Err(_)) => Exit::Failed,
    }
}

/// Loads the configuration of a subcommand that needs one; its mistakes are printed.
pub(super) fn load(path: &std::path::Path) -> Result<Config, Exit> {
    Config::load(path).map_err(|mistakes| {
        // Nothing is left to do when even this can't be printed.
        let _unprintable = refuse(&mistakes, &mut io::stderr().lock());
        Exit::Configuration
    })
}

/// Prints mistakes with their number. Every subcommand that needs a configuration ends so.
pub(super) fn refuse(mistakes: &Mistakes, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{mistakes}")?;
    let plural = if mistakes.list.len() == 1 {
        "mistake"
    } else {
        "mistakes"
    };
    writeln!(
        to,
        "{} {plural} in {}",
        mistakes.list.len(),
        mistakes.file.display()
    )
}

fn report(config: &Config, to: &mut impl Write) -> io::Result<()> {
    for notice in &config.notices {
        writeln!(to, "note: {}", notice.at(&config.file))?;
    }
    writeln!(to, "{}: no mistakes", config.file.display())?;
    writeln!(
        to,
        "cluster {}, adaptor {}",
        config.coe.cluster.as_str(),
        config.coe.adaptor.as_str()
    )?;
    for (manager, _) in &config.managers.list {
        writeln!(to, "NSX manager {manager}")?;
    }
    let cf = &config.foundation;
    writeln!(
        to,
        "UAA {}\nCloud Controller {}\nPolicy server {}",
        cf.uaa.url, cf.capi.url, config.cf.policy_server_url
    )?;
    for url in &cf.bbs.urls {
        writeln!(to, "BBS {url}")?;
    }
    for address in &cf.locket.addresses {
        writeln!(to, "Locket {address}")?;
    }
    Ok(())
}
