//! Exit statuses. Scripts and supervisors tell by them whether to retry, to alarm or to ask a person,
//! so they never change their meaning.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: it did what it was asked.
    Done = 0,
    /// 1: it failed, for a reason that may pass.
    Failed = 1,
    /// 2: `plan` found something to change.
    Changes = 2,
    /// 64: the command line can't be understood (`EX_USAGE` of sysexits.h).
    Usage = 64,
    /// 78: the configuration must be mended first (`EX_CONFIG`); a retry is of no use.
    Configuration = 78,
}

/// The statuses as `--help` shows them.
pub(super) const HELP: &str = "Exit status:
  0   done
  1   failed; may succeed when tried again
  2   the plan has changes
  64  wrong command line
  78  wrong configuration (NCP00001)";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Prints clap's answer; 64 for mistakes, since clap's own 2 means something else here.
pub(super) fn explain(error: &clap::Error) -> Exit {
    // Nothing is left to do when even this can't be printed.
    let _unprintable = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}
