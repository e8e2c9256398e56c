//! Every error code of the guide (R-CODE-01): number, name, what it means, what to
//! do next, and whether it is tried again.
//!
//! Numbers are stable and never reused. `docs/errors.md` is generated from this table.

use std::fmt;

use serde::{Serialize, Serializer};

/// Whether, and after what, a failed thing is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Disposition {
    /// Only an operator's or user's change can help; tried again when something it depends on changes, and slowly.
    NeedsOperator,
    /// The far end's state is in doubt: read, then decide.
    ObserveThenRetry,
    /// Tried again with back-off.
    RetryLater,
    /// A defect of this product: reported, tried again slowly.
    Bug,
}

macro_rules! codes {
    ($($variant:ident $number:literal $name:literal $disposition:ident $meaning:literal $next:literal;)*) => {
        /// An error code of the guide.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {$(
            #[doc = concat!($name, ". ", $meaning)]
            $variant = $number,
        )*}

        impl Code {
            /// Every code, in order of number.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The guide's name.
            pub fn name(self) -> &'static str {
                match self {$(Code::$variant => $name,)*}
            }

            /// What has happened, and what holds meanwhile.
            pub fn meaning(self) -> &'static str {
                match self {$(Code::$variant => $meaning,)*}
            }

            /// What the operator does next.
            pub fn next_step(self) -> &'static str {
                match self {$(Code::$variant => $next,)*}
            }

            /// Whether it is tried again.
            pub fn disposition(self) -> Disposition {
                match self {$(Code::$variant => Disposition::$disposition,)*}
            }
        }
    };
}

impl Code {
    /// The number, without the `NCP` in front.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The code that is written so, as `NCP00001`.
    pub fn parse(text: &str) -> Option<Code> {
        let number: u32 = text.strip_prefix("NCP")?.parse().ok()?;
        Code::ALL.iter().copied().find(|code| code.number() == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NCP{:05}", self.number())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

codes! {
    InvalidConfiguration 1 "Invalid configuration" NeedsOperator "An option of the configuration is missing, unknown or has a value that can't be used." "Correct the option at the file and line in the message, then run `ncp check`; all mistakes are listed at once.";
    InitializationFailed 2 "Initialization failed" RetryLater "The controller could not finish its start." "Mend the cause in the message (most often an end point that does not answer); the start is repeated by itself.";
    InvalidState 3 "Invalid state" NeedsOperator "Something that only this controller writes was changed by someone else meanwhile, as when two controllers run without election." "Make sure that `[ha] enable` is on and that no two foundations or clusters share one `[coe] cluster` name.";
    InvalidAdapter 4 "Invalid adapter" NeedsOperator "`[coe] adaptor` names no adapter of this build." "Set `[coe] adaptor` to one of the values in the message.";
    CertificateNotFound 5 "Certificate not found" NeedsOperator "A certificate or key file named in the configuration is absent or not readable." "Put the PEM file at the path in the message, readable by the controller's user, or correct the option.";
    TokenNotFound 6 "Token not found" NeedsOperator "The file with the access token of the platform's API is absent or empty." "Correct `[k8s] client_token_file`, or mount the service account's token at that path.";
    InvalidNsxConfiguration 7 "Invalid NSX configuration" NeedsOperator "A router, zone, block, pool or section named in the configuration does not fit its purpose." "Correct the option in the message, or change the named object in NSX Manager; `ncp check` says what is expected of it.";
    InvalidNsxTag 8 "Invalid NSX tag" NeedsOperator "An NSX object bears a tag of this controller's scopes that can't be read." "Correct or remove the tag on the object in the message; until then the object is left alone.";
    NsxConnectionFailed 9 "NSX connection failed" RetryLater "No NSX manager answers." "Check address, certificate and credentials of `[nsx_v3] nsx_api_managers` with `ncp check`; writing goes on by itself when one answers.";
    NodeTagNotFound 10 "Node tag not found" NeedsOperator "No logical port is marked as that of the node." "Tag the port of the node's container interface with scope `ncp/node_name` (the node's name) and `ncp/cluster`; it is found by itself.";
    InvalidNodeLogicalSwitchPort 11 "Invalid node logical switch port" NeedsOperator "The port found for a node can't carry containers: it has no VIF, or several ports claim to be the node's." "Attach the node's container interface to the overlay switch and leave the `ncp/node_name` tag on that one port.";
    ParentVifUpdateFailed 12 "Parent VIF update failed" ObserveThenRetry "The node's port could not be turned into a parent of container ports." "Check that the account may write logical ports and that nothing else sets the port's attachment; the port is read again first.";
    VlanExhausted 13 "VLAN exhausted" NeedsOperator "All 4,093 VLANs below one node's port are in use or held after use." "Run fewer containers on the node, or add nodes; held VLANs come free by themselves after their hold time.";
    VlanReleaseFailed 14 "VLAN release failed" ObserveThenRetry "A container is gone, but its VLAN could not be shown to be free." "Check that the node's agent runs; the VLAN stays reserved until its port is seen to be gone.";
    IpPoolExhausted 15 "IP pool exhausted" NeedsOperator "An address pool has no free address left." "Add a range to the pool in NSX Manager, or name a further pool in `[nsx_v3] external_ip_pools`; addresses in use are kept.";
    IpReleaseFailed 16 "IP release failed" ObserveThenRetry "An address could not be given back to its pool." "Check that the pool still exists and may be written; the address is read again, and given back only if it is still ours.";
    IpBlockExhausted 17 "IP block exhausted" NeedsOperator "No container block has room for a further subnet." "Add a block to `[nsx_v3] container_ip_blocks` (or `no_snat_ip_blocks`), or delete organizations that are not used.";
    IpSubnetCreationFailed 18 "IP subnet creation failed" RetryLater "NSX refused to cut a subnet from a container block." "See NSX's words in the message; check that `subnet_prefix` is not shorter than the block's own prefix.";
    IpSubnetDeletionFailed 19 "IP subnet deletion failed" ObserveThenRetry "A subnet could not be given back to its block." "See what still uses the subnet in the message; it is read again and given back once that is gone.";
    IpPoolCreationFailed 20 "IP pool creation failed" RetryLater "NSX refused to make the address pool of a subnet." "See NSX's words in the message; most often an overlapping range or a limit of the manager.";
    IpPoolDeletionFailed 21 "IP pool deletion failed" ObserveThenRetry "An address pool made by the controller could not be removed." "Release addresses that others took from the pool; it is read again and removed once it is unused.";
    LogicalRouterCreationFailed 22 "Logical router creation failed" RetryLater "NSX refused to make a project's tier-1 router." "See NSX's words in the message; check the number of tier-1 routers against the manager's limit.";
    LogicalRouterUpdateFailed 23 "Logical router update failed" ObserveThenRetry "A project's router or its route advertisement could not be changed." "Look for others who change the router; it is read again before the next attempt.";
    LogicalRouterDeletionFailed 24 "Logical router deletion failed" ObserveThenRetry "A project's router could not be removed." "Remove ports or services that others hung on the router named in the message; ours go first by themselves.";
    LogicalSwitchCreationFailed 25 "Logical switch creation failed" RetryLater "NSX refused to make a project's switch." "Check that `[nsx_v3] overlay_tz` is an overlay transport zone and see NSX's words in the message.";
    LogicalSwitchUpdateFailed 26 "Logical switch update failed" ObserveThenRetry "A project's switch could not be changed." "Look for others who change the switch; it is read again before the next attempt.";
    LogicalSwitchDeletionFailed 27 "Logical switch deletion failed" ObserveThenRetry "A project's switch could not be removed." "Remove ports that others made on the switch named in the message; ours go first by themselves.";
    LogicalRouterPortCreationFailed 28 "Logical router port creation failed" RetryLater "A router could not be linked to a switch or to the tier-0 router." "Check that `[nsx_v3] tier0_router` exists and takes further links; see NSX's words in the message.";
    LogicalRouterPortDeletionFailed 29 "Logical router port deletion failed" ObserveThenRetry "The link of a router could not be removed." "Remove what others attached to the router port in the message; it is read again first.";
    LogicalSwitchPortCreationFailed 30 "Logical switch port creation failed" RetryLater "NSX refused to make a container's port; the container has no network yet." "See NSX's words in the message; check the node's parent port and the manager's limit of ports.";
    LogicalSwitchPortUpdateFailed 31 "Logical switch port update failed" ObserveThenRetry "A container's port could not be changed; it stays as it was." "Look for others who change the port; it is read again before the next attempt.";
    LogicalSwitchPortDeletionFailed 32 "Logical switch port deletion failed" ObserveThenRetry "A container's port could not be removed; its address and VLAN stay reserved." "See what refers to the port in the message; it is read again, then removed.";
    NetworkPolicyNotFound 33 "Network policy not found" ObserveThenRetry "A policy that something refers to is not known, or no longer." "Nothing if the policy was deleted just now; else check that the platform still lists it.";
    FirewallCreationFailed 34 "Firewall creation failed" RetryLater "A firewall section or rule could not be made; its allows are missing, its denies are already in place." "See NSX's words in the message; check the number of sections and rules against the manager's limits.";
    FirewallReadFailed 35 "Firewall read failed" RetryLater "Firewall sections could not be read, so they are not changed." "Check the manager's health and the account's rights on the distributed firewall.";
    FirewallUpdateFailed 36 "Firewall update failed" ObserveThenRetry "A firewall section or rule could not be changed; it stays as it was." "Look for others who edit or lock the section; it is read again before the next attempt.";
    FirewallDeletionFailed 37 "Firewall deletion failed" ObserveThenRetry "A firewall section or rule could not be removed." "Unlock the section in NSX Manager if it is locked; it is read again, then removed.";
    MultipleFirewallsFound 38 "Multiple firewalls found" NeedsOperator "Several firewall sections bear the name or the mark of one." "Keep one of the sections in the message and remove or rename the others; a marker section must be unique.";
    NSGroupCreationFailed 39 "NSGroup creation failed" RetryLater "A group could not be made; what refers to it waits and admits nothing." "See NSX's words in the message; check the number of groups against the manager's limit.";
    NSGroupDeletionFailed 40 "NSGroup deletion failed" ObserveThenRetry "A group could not be removed." "Remove the group from rules that others wrote, named in the message; it is read again, then removed.";
    IpSetCreationFailed 41 "IP set creation failed" RetryLater "A set of addresses could not be made; rules that refer to it wait." "See NSX's words in the message; most often an address that the manager does not take or a limit.";
    IpSetUpdateFailed 42 "IP set update failed" ObserveThenRetry "A set of addresses could not be changed; it stays as it was." "Look for others who change the set; it is read again before the next attempt.";
    IpSetDeletionFailed 43 "IP set deletion failed" ObserveThenRetry "A set of addresses could not be removed." "Remove the set from rules that others wrote, named in the message; it is read again, then removed.";
    SnatRuleCreationFailed 44 "SNAT rule creation failed" RetryLater "A translation could not be made; what depends on it waits." "See NSX's words in the message; check that the router has an edge cluster and room for NAT rules.";
    SnatRuleDeletionFailed 45 "SNAT rule deletion failed" ObserveThenRetry "A translation could not be removed; its address stays reserved." "See NSX's words in the message; the rule is read again, then removed.";
    AdapterApiConnectionFailed 46 "Adapter API connection failed" RetryLater "The platform's API does not answer; nothing is removed on its behalf meanwhile." "Check its address, certificate and credentials with `ncp check`; the watch resumes by itself.";
    AdapterWatcherException 47 "Adapter watcher exception" RetryLater "A watch of the platform ended unexpectedly and begins anew with a full listing." "Nothing if it happens once; if it repeats, check the source named in the message.";
    LoadBalancerServiceDeletionFailed 48 "Load balancer service deletion failed" ObserveThenRetry "A load balancer could not be removed." "Detach virtual servers that others put on it; it is read again, then removed.";
    LoadBalancerVirtualServerCreationFailed 49 "Load balancer virtual server creation failed" RetryLater "A virtual server could not be made; the service or ingress is not reachable from outside." "See NSX's words in the message; check `max_allowed_virtual_servers` and the limits of the load balancer's size.";
    LoadBalancerVirtualServerUpdateFailed 50 "Load balancer virtual server update failed" ObserveThenRetry "A virtual server could not be changed; it stays as it was." "Look for others who change the virtual server; it is read again before the next attempt.";
    LoadBalancerVirtualServerDeletionFailed 51 "Load balancer virtual server deletion failed" ObserveThenRetry "A virtual server could not be removed." "See what refers to it in the message; it is read again, then removed.";
    LoadBalancerPoolCreationFailed 52 "Load balancer pool creation failed" RetryLater "A server pool could not be made." "Check the number of pools against the load balancer's size; see NSX's words in the message.";
    LoadBalancerPoolUpdateFailed 53 "Load balancer pool update failed" ObserveThenRetry "A server pool could not be changed; it stays as it was." "Check the number of members against the load balancer's and the edge's limits; the pool is read again first.";
    LoadBalancerPoolDeletionFailed 54 "Load balancer pool deletion failed" ObserveThenRetry "A server pool could not be removed." "Remove the pool from virtual servers or rules of others; it is read again, then removed.";
    LoadBalancerRuleCreationFailed 55 "Load balancer rule creation failed" RetryLater "A forwarding rule of an ingress could not be made." "Correct the host or path in the message if NSX refuses its form; else check the limit of rules.";
    LoadBalancerRuleUpdateFailed 56 "Load balancer rule update failed" ObserveThenRetry "A forwarding rule could not be changed; it stays as it was." "Look for others who change the rule; it is read again before the next attempt.";
    LoadBalancerRuleDeletionFailed 57 "Load balancer rule deletion failed" ObserveThenRetry "A forwarding rule could not be removed." "Remove the rule from virtual servers of others; it is read again, then removed.";
    LoadBalancerPoolIpReleaseFailed 58 "Load balancer pool IP release failed" ObserveThenRetry "The outside address of a service could not be given back to its pool." "Check that the pool still exists and may be written; the address is read again first.";
    LoadBalancerVirtualServerAndServiceAssociationNotFound 59 "Load balancer virtual server and service association not found" ObserveThenRetry "A virtual server hangs on no load balancer that we know." "Nothing if nobody detached it by hand; it is read again and attached anew.";
    NSGroupUpdateFailed 60 "NSGroup update failed" ObserveThenRetry "A group could not be changed; its members stay as they were." "Check the number of members against the manager's limit; the group is read again before the next attempt.";
    FirewallRulesGetFailed 61 "Firewall rules get failed" RetryLater "The rules of a section could not be read, so the section is not changed." "Check the manager's health; a section with more than 1,000 rules can't be read at all.";
    NSGroupHasNoCriteria 62 "NSGroup has no criteria" NeedsOperator "A group that should select by marks has neither criteria nor members, so its rules match nothing." "Undo the change that someone made to the group in the message, or delete it: it is made again.";
    NodeVmNotFound 63 "Node VM not found" NeedsOperator "NSX knows no virtual machine for the node." "Check that the node's hypervisor is prepared for NSX and that the VM's name or tag matches the node's.";
    NodeVifNotFound 64 "Node VIF not found" NeedsOperator "The node's virtual machine has no interface on an NSX switch." "Attach the node's container interface to the overlay switch; after a vMotion reconnect it. Containers wait meanwhile.";
    CertificateImportFailed 65 "Certificate import failed" NeedsOperator "NSX refused a TLS certificate." "Check that certificate, chain and key in the named secret belong together, are PEM and not expired.";
    CertificateUnimportFailed 66 "Certificate un-import failed" ObserveThenRetry "A TLS certificate that is no longer used could not be removed." "Remove it from virtual servers of others; it is read again, then removed.";
    SslBindingUpdateFailed 67 "SSL binding update failed" ObserveThenRetry "A virtual server's TLS binding could not be changed; it serves the certificates it had." "Check that the certificates in the message are still in NSX; the virtual server is read again first.";
    SslProfileNotFound 68 "SSL profile not found" NeedsOperator "NSX has no SSL profile that TLS termination could use." "Restore the default client SSL profile in NSX Manager.";
    IpPoolNotFound 69 "IP pool not found" NeedsOperator "No NSX pool has the name or id that was asked for." "Make the pool, or correct the name where the message says it was written; what stands keeps its address.";
    T0EdgeClusterNotFound 70 "T0 edge cluster not found" NeedsOperator "The tier-0 router has no edge cluster, so nothing can be translated or balanced." "Assign an edge cluster to `[nsx_v3] tier0_router` in NSX Manager.";
    IpPoolUpdateFailed 71 "IP pool update failed" ObserveThenRetry "An address pool could not be changed." "Look for others who change the pool; it is read again before the next attempt.";
    DispatcherFailed 72 "Dispatcher failed" Bug "An event of the platform could not be handled because of a defect of the controller." "Report the message and the log around it; the next listing of the source repairs the state.";
    NatRuleDeletionFailed 73 "NAT rule deletion failed" ObserveThenRetry "A NAT rule could not be removed; its address stays reserved." "See NSX's words in the message; the rule is read again, then removed.";
    LogicalRouterPortGetFailed 74 "Logical router port get failed" RetryLater "The ports of a router could not be read, so they are not changed." "Check the manager's health and that the router in the message still exists.";
    NsxConfigurationValidationFailed 75 "NSX configuration validation failed" NeedsOperator "An object that must exist beforehand is missing, ambiguous or of the wrong kind." "Make or correct the object in the message, or name it by UUID; `ncp check` lists all of them at once.";
    SnatRuleUpdateFailed 76 "SNAT rule update failed" ObserveThenRetry "A translation could not be changed; the former address stays in use." "Look for others who change the router's NAT rules; the rule is read again before the next attempt.";
    SnatRuleOverlapped 77 "SNAT rule overlapped" NeedsOperator "A container falls under two translations of the same rank; the first made stays in force." "Let only one service of those in the message name a pool for these containers.";
    LoadBalancerEndpointsAdditionFailed 78 "Load balancer endpoints addition failed" RetryLater "Backends could not be added to a server pool; those already there serve on." "Check the number of members against the load balancer's and the edge's limits.";
    LoadBalancerEndpointsUpdateFailed 79 "Load balancer endpoints update failed" ObserveThenRetry "Backends of a server pool could not be changed." "Look for others who change the pool; it is read again before the next attempt.";
    LoadBalancerRulePoolCreationFailed 80 "Load balancer rule pool creation failed" RetryLater "The server pool that a forwarding rule sends to could not be made; the rule waits." "Check the number of pools against the load balancer's size; see NSX's words in the message.";
    LoadBalancerVirtualServerNotFound 81 "Load balancer virtual server not found" ObserveThenRetry "A virtual server that should exist was not found." "Nothing if nobody deleted it by hand; it is read again and made anew.";
    IpSetReadFailed 82 "IP set read failed" RetryLater "A set of addresses could not be read, so it is not changed." "Check the manager's health and the account's rights.";
    SnatPoolGetFailed 83 "SNAT pool get failed" RetryLater "The pool for translated addresses could not be read; addresses in use are kept." "Check the manager's health and that the account may read the pool in the message.";
    LoadBalancerServiceCreationFailed 84 "Load balancer service creation failed" RetryLater "NSX refused to make a load balancer." "Check that the edge cluster has room for `service_size`; see NSX's words in the message.";
    LoadBalancerServiceUpdateFailed 85 "Load balancer service update failed" ObserveThenRetry "A load balancer could not be changed; it stays as it was." "Change its size in NSX Manager if a limit is reached; it is read again before the next attempt.";
    LogicalRouterPortUpdateFailed 86 "Logical router port update failed" ObserveThenRetry "A router's port could not be changed; it stays as it was." "Look for others who change the router; the port is read again before the next attempt.";
    LoadBalancerInitFailed 87 "Load balancer init failed" RetryLater "Load balancing could not be prepared; services and ingresses wait, the rest works." "Check `lb_service`, `external_ip_pools_lb` and the edge cluster; preparation is repeated by itself.";
    IpPoolNotUnique 88 "IP pool not unique" NeedsOperator "Several NSX pools have the name that was asked for." "Name the pool by its id where the message says it was written, or rename the others.";
    Layer7LoadBalancerCacheSyncError 89 "Layer 7 load balancer cache sync error" ObserveThenRetry "What is known of the layer-7 load balancer differs from what NSX shows." "Nothing; it is read again and put right. If it repeats, look for others who edit it.";
    LoadBalancerPoolDoesNotExist 90 "Load balancer pool does not exist" ObserveThenRetry "A server pool that should exist was not found." "Nothing if nobody deleted it by hand; it is read again and made anew.";
    LoadBalancerRuleCacheInitError 91 "Load balancer rule cache init error" RetryLater "The forwarding rules could not be read at start, so they are not changed." "Check the manager's health; reading is repeated by itself.";
    SnatProcessFailed 92 "SNAT process failed" RetryLater "The translation of a project, app or service could not be worked out; the former one stays." "See the message for which pool or router it waits for, and mend that.";
    LoadBalancerDefaultCertificateError 93 "Load balancer default certificate error" NeedsOperator "The default certificate for HTTPS can't be used; ingresses with secrets of their own are served." "Check `lb_default_cert_path` and `lb_priv_key_path`: both PEM, belonging together, not expired.";
    LoadBalancerEndpointDeletionFailed 94 "Load balancer endpoint deletion failed" ObserveThenRetry "A backend that is gone could not be taken out of a server pool." "Look for others who change the pool; it is read again, then changed.";
    ProjectNotFound 95 "Project not found" RetryLater "A container or policy belongs to an organization or namespace that is not known yet." "Nothing if it was made just now; else check that the platform's API answers and still lists it.";
    PoolAccessDenied 96 "Pool access denied" NeedsOperator "The pool's `ncp/owner` tags do not admit who asks for it." "Add the owner tag in the message to the pool in NSX Manager, or name another pool.";
    FailedToGetLoadBalancerService 97 "Failed to get load balancer service" RetryLater "A load balancer could not be read, so it is not changed." "Check the manager's health and that `lb_service` still exists.";
    FailedToCreateLoadBalancerService 98 "Failed to create load balancer service" NeedsOperator "A further load balancer is needed but the edge cluster has no room for one." "Add edge nodes or choose a larger form, or remove load balancers of others.";
    LoadBalancerPoolCacheSyncError 99 "Load balancer pool cache sync error" ObserveThenRetry "What is known of a server pool differs from what NSX shows." "Nothing; it is read again and put right. If it repeats, look for others who edit it.";
    OvsUplinkNotFound 1001 "OVS uplink not found" NeedsOperator "The node's bridge has no uplink port as configured." "Add the node's interface to `ovs_bridge` with ofport 1, or set `[nsx_kube_proxy] ovs_uplink_port`.";
    HostMacNotFound 1002 "Host MAC not found" NeedsOperator "The Ethernet address of the node's interface could not be read." "Check that the interface in the message exists on the node and is up.";
    OvsPortCreationFailed 1003 "OVS port creation failed" RetryLater "A container's port could not be added to the node's bridge." "Check that Open vSwitch runs on the node and that the bridge `ovs_bridge` exists.";
    NoPodConfiguration 1004 "No pod configuration" RetryLater "The node asked for a container's network before the controller had made it, and gave up." "See what the container's port waits for with `ncp plan`; the platform starts the container again.";
    PodConfigurationFailed 1005 "Pod configuration failed" RetryLater "A container's interface could not be set up on the node." "See the step in the message; check the agent's rights (NET_ADMIN, SYS_ADMIN) and the network namespace.";
    PodUnconfigurationFailed 1006 "Pod un-configuration failed" ObserveThenRetry "A container's interface could not be taken down; its address and VLAN stay reserved." "Check that Open vSwitch runs on the node; the agent looks again and removes what is left.";
    CniSocketNotFound 1007 "CNI socket not found" RetryLater "The CNI program found no socket of the node agent." "Start the node agent, and check that both use the same socket directory.";
    CniConnectionFailed 1008 "CNI connection failed" RetryLater "The node agent's socket exists but does not answer." "Restart the node agent if it hangs; the platform repeats the call.";
    CniVersionMismatch 1009 "CNI version mismatch" NeedsOperator "CNI program and node agent, or the runtime's CNI version, do not fit together." "Install CNI program and node agent of the same release on the node.";
    CniMessageReceiveFailed 1010 "CNI message receive failed" RetryLater "A message between CNI program and node agent broke off or was not understood." "Check that both are of the same release; the platform repeats the call.";
    CniMessageTransmitFailed 1011 "CNI message transmit failed" RetryLater "An answer could not be given to the CNI program, most often because it had given up." "Check the load of the node; the platform repeats the call.";
    HyperbusConnectionFailed 1012 "Hyperbus connection failed" RetryLater "The node agent can't reach the controller; it serves what it last knew." "Check that the controller runs and that the node reaches its address; it connects again by itself.";
    HyperbusVersionMismatch 1013 "Hyperbus version mismatch" NeedsOperator "Node agent and controller speak different versions of their protocol." "Upgrade the older of the two to the release of the other.";
    HyperbusMessageReceiveFailed 1014 "Hyperbus message receive failed" RetryLater "A message of the controller broke off or was not understood; the agent asks for everything anew." "Check that both are of the same release if it repeats.";
    HyperbusMessageTransmitFailed 1015 "Hyperbus message transmit failed" RetryLater "An acknowledgement could not be sent to the controller." "Nothing if it happens once; it is sent again after the next connection.";
    GarpSendFailed 1016 "GARP send failed" RetryLater "The new address could not be announced to its neighbours; they may learn it late." "Check that the container's interface is up; traffic of the container itself announces it too.";
    InterfaceConfigurationFailed 1017 "Interface configuration failed" RetryLater "Address, route or link state could not be set on an interface." "See the interface and the system's words in the message; check the agent's rights.";
    ProxyInvalidGatewayPort 2001 "Proxy invalid gateway port" NeedsOperator "The port that service traffic leaves by is not on the bridge." "Set `[nsx_kube_proxy] ovs_uplink_port` to a port of the bridge, by number or name.";
    ProxyCommandFailed 2002 "Proxy command failed" RetryLater "A change of the service flows was refused by Open vSwitch." "Check that Open vSwitch runs on the node; the flows are set again by itself.";
    ProxyValidationFailed 2003 "Proxy validation failed" RetryLater "The service flows on the bridge are not those that were set." "Look for others who change the bridge's flows; they are set again by itself.";
    CliStartFailed 3001 "CLI start failed" NeedsOperator "The command line could not start." "Run it in the container of the component it asks, as a user who may open its socket.";
    CliSocketCreationFailed 3002 "CLI socket creation failed" NeedsOperator "The component could not open the socket for its command line; all else works." "Check that its socket directory exists and may be written by its user.";
    CliSocketException 3003 "CLI socket exception" RetryLater "The socket of the command line broke." "Repeat the command; check that the component runs.";
    CliClientInvalidRequest 3004 "CLI client invalid request" NeedsOperator "The command or its arguments are not known to the component." "See `help` for the commands; use a command line of the component's own release.";
    CliServerTransmitFailed 3005 "CLI server transmit failed" RetryLater "The answer to a command could not be delivered." "Repeat the command.";
    CliServerReceiveFailed 3006 "CLI server receive failed" RetryLater "A command broke off on its way to the component." "Repeat the command.";
    CliCommandExecutionFailed 3007 "CLI command execution failed" RetryLater "A command was understood but could not be carried out." "See the cause in the message, mend it and repeat the command.";
    KubernetesConnectionFailed 5001 "Kubernetes connection failed" RetryLater "The Kubernetes API server does not answer; nothing is removed on its behalf meanwhile." "Check `[k8s] apiserver_host_ip`, port and CA file; watches resume by themselves.";
    KubernetesInvalidConfiguration 5002 "Kubernetes invalid configuration" NeedsOperator "The options for the Kubernetes API can't be used together." "Correct `[k8s]` as the message says; certificate and key must be given together.";
    KubernetesRequestFailed 5003 "Kubernetes request failed" RetryLater "The API server refused a request." "Check the rights of the service account against the delivered cluster roles.";
    KubernetesKeyNotFound 5004 "Kubernetes key not found" NeedsOperator "An object of the API lacks a field that is needed." "Correct the object in the message; it alone is held back.";
    KubernetesTypeNotFound 5005 "Kubernetes type not found" NeedsOperator "The API server does not offer a kind of object that is needed." "Install the missing definition (`nsx-error-crd.yaml` for NSXError), or turn the feature off.";
    KubernetesWatcherException 5006 "Kubernetes watcher exception" RetryLater "A watch ended unexpectedly and begins anew with a full listing." "Nothing if it happens once; if it repeats, check the API server named in the message.";
    KubernetesResourceInvalidLength 5007 "Kubernetes resource invalid length" NeedsOperator "A name, label or annotation is longer than the network can hold." "Shorten the value in the message.";
    KubernetesResourceInvalidType 5008 "Kubernetes resource invalid type" NeedsOperator "A field of an object is not of the type that it must be." "Correct the field in the message; the object alone is held back.";
    KubernetesResourceHandleFailed 5009 "Kubernetes resource handle failed" RetryLater "An object could not be translated into the network." "See the object and the cause in the message; it alone is held back and tried again.";
    KubernetesServiceHandleFailed 5010 "Kubernetes service handle failed" RetryLater "A Service could not be translated into the network." "See the cause in the message and the Service's annotations; it alone is held back.";
    KubernetesEndpointHandleFailed 5011 "Kubernetes endpoint handle failed" RetryLater "The endpoints of a Service could not be taken over; the former ones serve on." "See the cause in the message; they are taken over at the next change or listing.";
    KubernetesIngressHandleFailed 5012 "Kubernetes ingress handle failed" RetryLater "An Ingress could not be translated into the network." "See the cause in the message and the Ingress's annotations; it alone is held back.";
    KubernetesNetworkPolicyHandleFailed 5013 "Kubernetes network policy handle failed" NeedsOperator "A NetworkPolicy can't be understood; what it selects is isolated and its broken rules admit nothing." "Correct the rule in the message; the policy is read again at its next change.";
    KubernetesNodeHandleFailed 5014 "Kubernetes node handle failed" RetryLater "A node could not be prepared for containers." "Check the node's port and its tags as the message says.";
    KubernetesNamespaceHandleFailed 5015 "Kubernetes namespace handle failed" RetryLater "The network of a namespace could not be made." "See what its router, subnet or address waits for with `ncp plan`.";
    KubernetesPodHandleFailed 5016 "Kubernetes pod handle failed" RetryLater "The port of a pod could not be made." "See what the port waits for with `ncp plan`.";
    KubernetesSecretHandleFailed 5017 "Kubernetes secret handle failed" NeedsOperator "A TLS secret can't be used." "Check that `tls.crt` and `tls.key` of the secret in the message belong together.";
    KubernetesDefaultBackendFailed 5018 "Kubernetes default backend failed" RetryLater "The default backend of an Ingress could not be set up." "Check that the Service in the message exists and has that port.";
    KubernetesMatchExpressionNotSupported 5019 "Kubernetes match expression not supported" NeedsOperator "A label selector goes beyond what the network can select by; its rule admits nothing." "Rewrite the selector in the message with fewer expressions or values.";
    KubernetesStatusUpdateFailed 5020 "Kubernetes status update failed" ObserveThenRetry "The status of an object could not be written; the network itself is in place." "Check the rights on `ingresses/status` and `services/status`; it is read again, then written.";
    KubernetesAnnotationUpdateFailed 5021 "Kubernetes annotation update failed" ObserveThenRetry "An annotation could not be written; the network itself is in place." "Check the rights to patch the object's kind; it is read again, then written.";
    KubernetesNamespaceCacheNotFound 5022 "Kubernetes namespace cache not found" RetryLater "An object names a namespace that is not known yet." "Nothing if it was made just now; else check that the watch of namespaces is healthy.";
    KubernetesSecretNotFound 5023 "Kubernetes secret not found" NeedsOperator "A secret named by an Ingress does not exist; its other hosts are served." "Create the secret in the message; it is picked up by itself.";
    KubernetesDefaultBackendInUse 5024 "Kubernetes default backend in use" NeedsOperator "Another Ingress already has the cluster's one default backend." "Remove the default backend from one of the two in the message.";
    KubernetesLoadBalancerServiceHandleFailed 5025 "Kubernetes LoadBalancer service handle failed" RetryLater "A Service of type LoadBalancer could not be given its outside address or virtual servers." "See the cause in the message: the pool, the address asked for, or a limit.";
    PcfBbsConnectionFailed 6001 "PCF BBS connection failed" RetryLater "No BBS answers; containers that run keep their network and none is removed." "Check address and certificates of the BBS in `[cf]` with `ncp check`; listing and events resume by themselves.";
    PcfCapiConnectionFailed 6002 "PCF CAPI connection failed" RetryLater "The Cloud Controller or UAA does not answer; names and security groups stay as last known." "Check the API address, the UAA client and its authorities in `[cf]` with `ncp check`.";
    PcfCacheNotFound 6006 "PCF cache not found" RetryLater "An object names another one that is not known yet." "Nothing if it was made just now; else check that the watch named in the message is healthy.";
    PcfUnknownDomain 6007 "PCF unknown domain" NeedsOperator "The BBS has containers of a domain that this release does not know; they are left alone." "Check the platform's release against the supported ones, and report the domain.";
    PcfPolicyServerConnectionFailed 6020 "PCF policy server connection failed" RetryLater "The policy server does not answer; the last known policies stay in force." "Check its address and certificates in `[cf]` with `ncp check`; it is asked again by itself.";
    PcfPolicyProcessingFailed 6021 "PCF policy processing failed" NeedsOperator "Part of a security group or network policy can't be understood; that part admits nothing, the rest is in force." "Correct the rule in the message with `cf update-security-group` or `cf add-network-policy`.";
    PcfEventProcessingFailed 6030 "PCF event processing failed" ObserveThenRetry "An event of the BBS could not be read; the listing is read again instead." "Nothing if it happens once; if it repeats, report the record in the message.";
    PcfUnexpectedEventType 6031 "PCF unexpected event type" ObserveThenRetry "The BBS sent an event of an unknown type, as newer platforms may; it is passed over." "Check the platform's release against the supported ones if it repeats.";
    PcfUnexpectedEventInstance 6032 "PCF unexpected event instance" ObserveThenRetry "An event is about an instance that is not known, or lacks what identifies one." "Nothing; the instance is looked up. If it repeats, check the platform's release.";
    PcfTaskDeletionFailed 6033 "PCF task deletion failed" ObserveThenRetry "The network of a task that ended could not be removed." "See what its port waits for with `ncp plan`; it is read again, then removed.";
    PcfFileAccessFailed 6034 "PCF file access failed" NeedsOperator "A file that the job is given, such as a certificate of the platform, can't be read." "Check that the file in the message exists and may be read by the controller's user.";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_162_codes_and_each_reads_back() {
        assert_eq!(Code::ALL.len(), 162);
        for code in Code::ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
    }

    #[test]
    fn every_code_says_what_it_means_and_what_to_do_in_a_sentence_each() {
        for code in Code::ALL {
            for text in [code.meaning(), code.next_step()] {
                assert!(
                    text.ends_with('.') && text.len() >= 15 && text.len() < 170,
                    "{code:?}: {text}"
                );
            }
            assert_ne!(code.meaning(), code.next_step());
        }
    }

    #[test]
    fn no_two_codes_mean_the_same() {
        let meanings: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.meaning()).collect();
        assert_eq!(meanings.len(), Code::ALL.len());
    }

    #[test]
    fn what_an_operator_must_mend_is_not_hammered() {
        for code in [
            Code::IpPoolNotFound,
            Code::PoolAccessDenied,
            Code::InvalidConfiguration,
            Code::VlanExhausted,
        ] {
            assert_eq!(code.disposition(), Disposition::NeedsOperator, "{code:?}");
        }
    }
}
