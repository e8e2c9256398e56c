//! Configuration: `ncp.ini` from text to values that can't be half right.
//!
//! ```text
//! text ──ini──▶ lines ──reader, table──▶ sections ──endpoints, check──▶ Config
//!                 └──────────── mistakes, all of them ───────────────────▶ Mistakes
//! ```
//!
//! Nothing is opened or dialled before the whole file has been read, and every mistake is reported in
//! one go, with line and remedy: an operator who must deploy to learn of the next mistake loses an
//! afternoon. What only the far ends can tell (does the router exist?) is not decided here.

mod builder;
mod check;
mod endpoints;
mod ini;
mod mistake;
mod reader;
mod reference;
mod sections;
mod surroundings;
mod table;
mod value;

#[cfg(test)]
pub(crate) mod tests;

pub use endpoints::{
    Endpoint, Foundation, Identity, Locket, Login, Managers, MutualEndpoint, MutualTls, Trust,
};
pub use mistake::{CODE, Mistake, Mistakes};
pub use reference::{markdown, sample};
pub use sections::{Cf, Coe, Ha, K8s, Logs, Ncp, NsxV3, SECTIONS};
pub use surroundings::{Host, Surroundings};
pub use table::{Default, OptionSpec, SectionSpec};
pub use value::*;

use builder::Builder;
use reader::Reader;
use std::path::{Path, PathBuf};
use table::Section;

/// A configuration that can be worked with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// `[DEFAULT]`.
    pub logs: Logs,
    /// `[coe]`.
    pub coe: Coe,
    /// `[ha]`.
    pub ha: Ha,
    /// `[k8s]`.
    pub k8s: K8s,
    /// `[nsx_v3]`; addresses and credentials are in `managers`.
    pub nsx: NsxV3,
    /// `[cf]`; addresses and credentials are in `foundation`.
    pub cf: Cf,
    /// `[ncp]`.
    pub ncp: Ncp,
    /// The NSX managers.
    pub managers: Managers,
    /// The Cloud Foundry foundation.
    pub foundation: Foundation,
    /// What is no mistake and should be known all the same.
    pub notices: Vec<Mistake>,
}

impl Config {
    /// Reads and checks a file of this machine.
    ///
    /// # Errors
    /// All mistakes; a file that can't be read is one.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        Self::load_from(file, &Host)
    }

    /// As [`Config::load`], with the files and variables of `around`.
    ///
    /// # Errors
    /// As of [`Config::load`].
    pub fn load_from(file: &Path, around: &dyn Surroundings) -> Result<Self, Mistakes> {
        match around.file(file) {
            Ok(text) => Self::parse(file, &text, around),
            Err(e) => Err(Mistakes {
                file: file.to_owned(),
                list: vec![unreadable(&e)],
            }),
        }
    }

    fn parse(file: &Path, text: &str, around: &dyn Surroundings) -> Result<Self, Mistakes> {
        let ini = ini::read(text);
        let mut reader = Reader::new(&ini);
        let logs = Logs::read(&mut reader);
        let coe = Coe::read(&mut reader);
        let ha = Ha::read(&mut reader);
        let k8s = K8s::read(&mut reader);
        let nsx = NsxV3::read(&mut reader);
        let cf = Cf::read(&mut reader);
        let ncp = Ncp::read(&mut reader);
        let mut builder = Builder {
            reader: &mut reader,
            around,
        };
        builder.check_logs(&logs);
        builder.check_coe(&coe);
        builder.check_ha(&ha);
        builder.check_k8s(&coe, &k8s);
        builder.check_nsx(&coe, &nsx);
        builder.check_ncp(&ncp);
        let managers = builder.managers(&nsx);
        // Whoever still has to write `adaptor = pcf` wants to hear the rest in the same go, unless
        // the file is evidently another orchestrator's.
        let wanted = coe.adaptor == Adaptor::Pcf || ini.headers.iter().any(|h| h.name == "cf");
        let foundation = wanted.then(|| {
            builder.check_cf(&cf);
            builder.foundation(&coe, &cf)
        });
        let Reader {
            mistakes, notices, ..
        } = reader;
        match (Mistakes::of(file, mistakes), managers, foundation.flatten()) {
            (None, Some(managers), Some(foundation)) => {
                let file = file.to_owned();
                Ok(Self {
                    file,
                    logs,
                    coe,
                    ha,
                    k8s,
                    nsx,
                    cf,
                    ncp,
                    managers,
                    foundation,
                    notices,
                })
            }
            (Some(mistakes), ..) => Err(mistakes),
            (None, ..) => Err(Mistakes {
                file: file.to_owned(),
                list: vec![unexplained()],
            }),
        }
    }
}

fn unreadable(error: &std::io::Error) -> Mistake {
    Mistake {
        line: None,
        section: String::new(),
        key: String::new(),
        wrong: format!("the file can't be read: {error}"),
        instead: "name an existing file with --config; `ncp config sample` prints one to start from".into(),
    }
}

/// Endpoints are only left out together with a mistake that says why. Should a change break that
/// rule, refusing is right and a panic is not.
fn unexplained() -> Mistake {
    Mistake {
        line: None,
        section: String::new(),
        key: String::new(),
        wrong: "the endpoints are incomplete for a reason that was not recorded".into(),
        instead: "report this as a defect together with the file".into(),
    }
}
