//! Debug output without secrets: the environment holds service credentials, `diego-ssh` a private key.

use std::fmt;

use crate::bbs::{EnvironmentVariable, ProtoRoutes};

impl fmt::Debug for EnvironmentVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentVariable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProtoRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_show() {
        let variable = EnvironmentVariable {
            name: "TOKEN".into(),
            value: b"hunter2".to_vec(),
        };
        let routes = ProtoRoutes {
            routes: [("diego-ssh".to_owned(), b"hunter2".to_vec())].into(),
        };
        let text = format!("{variable:?} {routes:?}");
        assert!(text.contains("TOKEN") && text.contains("diego-ssh"));
        assert!(!text.contains("hunter2"));
    }
}
