//! Options whose value is one of a few words. Any letter case is taken; the guide writes some in
//! capitals and some not.

use super::{Value, Wrong};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The word as the reference page writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Value for $name {
            fn kind() -> String {
                format!("one of {}", [$($word),+].join(", "))
            }

            fn parse(text: &str) -> Result<Self, Wrong> {
                [$(($word, Self::$variant)),+]
                    .into_iter()
                    .find_map(|(word, value)| word.eq_ignore_ascii_case(text).then_some(value))
                    .ok_or_else(|| Wrong::new(format!("{text:?} is not known here"), format!("write {}", Self::kind())))
            }
        }
    )+};
}

words! {
    /// Which orchestrator is watched.
    Adaptor {
        /// Kubernetes.
        Kubernetes = "kubernetes",
        /// OpenShift.
        Openshift = "openshift",
        /// Cloud Foundry.
        Pcf = "pcf",
    }
    /// What the nodes are.
    NodeType {
        /// Virtual machines on prepared hypervisors.
        HostVm = "HOSTVM",
        /// Physical machines that are transport nodes themselves.
        BareMetal = "BAREMETAL",
    }
    /// Levels of the guide. CRITICAL logs what ERROR logs; NOTSET leaves the level to the root.
    LogLevel {
        /// No level of its own.
        NotSet = "NOTSET",
        /// Decisions.
        Debug = "DEBUG",
        /// Changes of state.
        Info = "INFO",
        /// What an operator should look at.
        Warning = "WARNING",
        /// What failed.
        Error = "ERROR",
        /// What ends the program.
        Critical = "CRITICAL",
    }
    /// How an ingress controller reaches the outside.
    IngressMode {
        /// On the node's own network.
        HostNetwork = "hostnetwork",
        /// Through NAT rules.
        Nat = "nat",
    }
    /// How a load balancer spreads connections.
    PoolAlgorithm {
        /// In turn.
        RoundRobin = "ROUND_ROBIN",
        /// To the least busy.
        LeastConnection = "LEAST_CONNECTION",
        /// By the client's address.
        IpHash = "IP_HASH",
        /// In turn, by weight.
        WeightedRoundRobin = "WEIGHTED_ROUND_ROBIN",
    }
    /// Size of a load balancer service.
    ServiceSize {
        /// Fits each edge.
        Small = "SMALL",
        /// Needs a large edge.
        Medium = "MEDIUM",
        /// Needs a bare-metal edge.
        Large = "LARGE",
    }
    /// What keeps a client at one HTTP server.
    L7Persistence {
        /// A cookie.
        Cookie = "cookie",
        /// The client's address.
        SourceIp = "source_ip",
    }
    /// What keeps a client at one TCP server.
    L4Persistence {
        /// The client's address.
        SourceIp = "source_ip",
    }
    /// What happens to a packet that no rule allows.
    DenyAction {
        /// The sender is told, as the platform's own network does.
        Reject = "reject",
        /// The packet disappears.
        Drop = "drop",
    }
    /// How the VIF of a cell is found among the manager's logical ports.
    CellMatch {
        /// By a tag of scope `ncp/node_name` (R-RES-06).
        NodeName = "node_name",
        /// By the tag of scope `bosh/id` that the platform's vSphere CPI puts there.
        BoshId = "bosh_id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_any_case() {
        assert_eq!(Adaptor::parse("PCF"), Ok(Adaptor::Pcf));
        assert_eq!(PoolAlgorithm::parse("round_robin"), Ok(PoolAlgorithm::RoundRobin));
        assert!(Adaptor::parse("mesos").is_err_and(|w| w.instead.contains("kubernetes, openshift, pcf")));
    }
}
