//! Names of things: NSX objects, the cluster, cells.

use super::{Value, Wrong};

/// Longest display name that NSX takes.
const LONGEST: usize = 255;

/// A name or UUID of an NSX object (R-RES-01), or the name of the cluster. Whether the object
/// exists is for the manager to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for Name {
    fn kind() -> String {
        "name or UUID".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.starts_with('<') && text.ends_with('>') {
            return Err(Wrong::new(
                format!("{text} is the sample's placeholder"),
                "write the name or UUID itself",
            ));
        }
        // An equals sign in a name is nearly always the next option, indented by accident and so
        // taken for a continuation of this one.
        if text.contains('=') || text.chars().any(char::is_control) {
            return Err(Wrong::new(
                format!("{text:?} is no name"),
                "write a name without = and control characters, and start each option in the first column",
            ));
        }
        if text.chars().count() > LONGEST {
            return Err(Wrong::new(
                "the name is too long",
                format!("write at most {LONGEST} characters"),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Says by hand which VIF a cell's container traffic passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellVif {
    /// Cell id as the BBS knows it.
    pub cell: String,
    /// Id of the VIF (the attachment id of the cell's logical port).
    pub vif: String,
}

impl Value for CellVif {
    fn kind() -> String {
        "<cell id>=<VIF id>".into()
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.split_once('=').map(|(cell, vif)| (cell.trim(), vif.trim())) {
            Some((cell, vif)) if !cell.is_empty() && !vif.is_empty() && !vif.contains('=') => Ok(Self {
                cell: cell.to_owned(),
                vif: vif.to_owned(),
            }),
            _ => Err(Wrong::new(
                format!("{text:?} does not name a cell and its VIF"),
                "write <cell id>=<VIF id>",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_not_the_next_option() {
        assert!(Name::parse("block one").is_ok());
        for text in ["subnet_prefix = 24", "<ip_address>", &"x".repeat(256)] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_cell_has_one_vif() {
        let want = CellVif {
            cell: "cell-1".into(),
            vif: "8a2c".into(),
        };
        assert_eq!(CellVif::parse("cell-1 = 8a2c"), Ok(want));
        for text in ["cell-1", "=8a2c", "cell-1=", "a=b=c"] {
            assert!(CellVif::parse(text).is_err(), "{text}");
        }
    }
}
