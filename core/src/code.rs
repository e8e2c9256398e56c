//! Every error code of the guide (R-CODE-01): number, name, what to do next, and whether to try again.
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
    ($($variant:ident $number:literal $name:literal $disposition:ident $next:literal;)*) => {
        /// An error code of the guide.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {$(
            #[doc = concat!($name, ".")]
            $variant = $number,
        )*}

        impl Code {
            /// Every code, in order of number.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The guide's name.
            pub fn name(self) -> &'static str {
                match self {$(Code::$variant => $name,)*}
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
    InvalidConfiguration 1 "Invalid configuration" RetryLater "See the message; it is tried again by itself.";
    InitializationFailed 2 "Initialization failed" RetryLater "See the message; it is tried again by itself.";
    InvalidState 3 "Invalid state" RetryLater "See the message; it is tried again by itself.";
    InvalidAdapter 4 "Invalid adapter" RetryLater "See the message; it is tried again by itself.";
    CertificateNotFound 5 "Certificate not found" RetryLater "See the message; it is tried again by itself.";
    TokenNotFound 6 "Token not found" RetryLater "See the message; it is tried again by itself.";
    InvalidNsxConfiguration 7 "Invalid NSX configuration" RetryLater "See the message; it is tried again by itself.";
    InvalidNsxTag 8 "Invalid NSX tag" RetryLater "See the message; it is tried again by itself.";
    NsxConnectionFailed 9 "NSX connection failed" RetryLater "See the message; it is tried again by itself.";
    NodeTagNotFound 10 "Node tag not found" RetryLater "See the message; it is tried again by itself.";
    InvalidNodeLogicalSwitchPort 11 "Invalid node logical switch port" RetryLater "See the message; it is tried again by itself.";
    ParentVifUpdateFailed 12 "Parent VIF update failed" RetryLater "See the message; it is tried again by itself.";
    VlanExhausted 13 "VLAN exhausted" RetryLater "See the message; it is tried again by itself.";
    VlanReleaseFailed 14 "VLAN release failed" RetryLater "See the message; it is tried again by itself.";
    IpPoolExhausted 15 "IP pool exhausted" RetryLater "See the message; it is tried again by itself.";
    IpReleaseFailed 16 "IP release failed" RetryLater "See the message; it is tried again by itself.";
    IpBlockExhausted 17 "IP block exhausted" RetryLater "See the message; it is tried again by itself.";
    IpSubnetCreationFailed 18 "IP subnet creation failed" RetryLater "See the message; it is tried again by itself.";
    IpSubnetDeletionFailed 19 "IP subnet deletion failed" RetryLater "See the message; it is tried again by itself.";
    IpPoolCreationFailed 20 "IP pool creation failed" RetryLater "See the message; it is tried again by itself.";
    IpPoolDeletionFailed 21 "IP pool deletion failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterCreationFailed 22 "Logical router creation failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterUpdateFailed 23 "Logical router update failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterDeletionFailed 24 "Logical router deletion failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchCreationFailed 25 "Logical switch creation failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchUpdateFailed 26 "Logical switch update failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchDeletionFailed 27 "Logical switch deletion failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterPortCreationFailed 28 "Logical router port creation failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterPortDeletionFailed 29 "Logical router port deletion failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchPortCreationFailed 30 "Logical switch port creation failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchPortUpdateFailed 31 "Logical switch port update failed" RetryLater "See the message; it is tried again by itself.";
    LogicalSwitchPortDeletionFailed 32 "Logical switch port deletion failed" RetryLater "See the message; it is tried again by itself.";
    NetworkPolicyNotFound 33 "Network policy not found" RetryLater "See the message; it is tried again by itself.";
    FirewallCreationFailed 34 "Firewall creation failed" RetryLater "See the message; it is tried again by itself.";
    FirewallReadFailed 35 "Firewall read failed" RetryLater "See the message; it is tried again by itself.";
    FirewallUpdateFailed 36 "Firewall update failed" RetryLater "See the message; it is tried again by itself.";
    FirewallDeletionFailed 37 "Firewall deletion failed" RetryLater "See the message; it is tried again by itself.";
    MultipleFirewallsFound 38 "Multiple firewalls found" RetryLater "See the message; it is tried again by itself.";
    NSGroupCreationFailed 39 "NSGroup creation failed" RetryLater "See the message; it is tried again by itself.";
    NSGroupDeletionFailed 40 "NSGroup deletion failed" RetryLater "See the message; it is tried again by itself.";
    IpSetCreationFailed 41 "IP set creation failed" RetryLater "See the message; it is tried again by itself.";
    IpSetUpdateFailed 42 "IP set update failed" RetryLater "See the message; it is tried again by itself.";
    IpSetDeletionFailed 43 "IP set deletion failed" RetryLater "See the message; it is tried again by itself.";
    SnatRuleCreationFailed 44 "SNAT rule creation failed" RetryLater "See the message; it is tried again by itself.";
    SnatRuleDeletionFailed 45 "SNAT rule deletion failed" RetryLater "See the message; it is tried again by itself.";
    AdapterApiConnectionFailed 46 "Adapter API connection failed" RetryLater "See the message; it is tried again by itself.";
    AdapterWatcherException 47 "Adapter watcher exception" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerServiceDeletionFailed 48 "Load balancer service deletion failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerVirtualServerCreationFailed 49 "Load balancer virtual server creation failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerVirtualServerUpdateFailed 50 "Load balancer virtual server update failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerVirtualServerDeletionFailed 51 "Load balancer virtual server deletion failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolCreationFailed 52 "Load balancer pool creation failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolUpdateFailed 53 "Load balancer pool update failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolDeletionFailed 54 "Load balancer pool deletion failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerRuleCreationFailed 55 "Load balancer rule creation failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerRuleUpdateFailed 56 "Load balancer rule update failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerRuleDeletionFailed 57 "Load balancer rule deletion failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolIpReleaseFailed 58 "Load balancer pool IP release failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerVirtualServerAndServiceAssociationNotFound 59 "Load balancer virtual server and service association not found" RetryLater "See the message; it is tried again by itself.";
    NSGroupUpdateFailed 60 "NSGroup update failed" RetryLater "See the message; it is tried again by itself.";
    FirewallRulesGetFailed 61 "Firewall rules get failed" RetryLater "See the message; it is tried again by itself.";
    NSGroupHasNoCriteria 62 "NSGroup has no criteria" RetryLater "See the message; it is tried again by itself.";
    NodeVmNotFound 63 "Node VM not found" RetryLater "See the message; it is tried again by itself.";
    NodeVifNotFound 64 "Node VIF not found" RetryLater "See the message; it is tried again by itself.";
    CertificateImportFailed 65 "Certificate import failed" RetryLater "See the message; it is tried again by itself.";
    CertificateUnimportFailed 66 "Certificate un-import failed" RetryLater "See the message; it is tried again by itself.";
    SslBindingUpdateFailed 67 "SSL binding update failed" RetryLater "See the message; it is tried again by itself.";
    SslProfileNotFound 68 "SSL profile not found" RetryLater "See the message; it is tried again by itself.";
    IpPoolNotFound 69 "IP pool not found" RetryLater "See the message; it is tried again by itself.";
    T0EdgeClusterNotFound 70 "T0 edge cluster not found" RetryLater "See the message; it is tried again by itself.";
    IpPoolUpdateFailed 71 "IP pool update failed" RetryLater "See the message; it is tried again by itself.";
    DispatcherFailed 72 "Dispatcher failed" RetryLater "See the message; it is tried again by itself.";
    NatRuleDeletionFailed 73 "NAT rule deletion failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterPortGetFailed 74 "Logical router port get failed" RetryLater "See the message; it is tried again by itself.";
    NsxConfigurationValidationFailed 75 "NSX configuration validation failed" RetryLater "See the message; it is tried again by itself.";
    SnatRuleUpdateFailed 76 "SNAT rule update failed" RetryLater "See the message; it is tried again by itself.";
    SnatRuleOverlapped 77 "SNAT rule overlapped" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerEndpointsAdditionFailed 78 "Load balancer endpoints addition failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerEndpointsUpdateFailed 79 "Load balancer endpoints update failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerRulePoolCreationFailed 80 "Load balancer rule pool creation failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerVirtualServerNotFound 81 "Load balancer virtual server not found" RetryLater "See the message; it is tried again by itself.";
    IpSetReadFailed 82 "IP set read failed" RetryLater "See the message; it is tried again by itself.";
    SnatPoolGetFailed 83 "SNAT pool get failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerServiceCreationFailed 84 "Load balancer service creation failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerServiceUpdateFailed 85 "Load balancer service update failed" RetryLater "See the message; it is tried again by itself.";
    LogicalRouterPortUpdateFailed 86 "Logical router port update failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerInitFailed 87 "Load balancer init failed" RetryLater "See the message; it is tried again by itself.";
    IpPoolNotUnique 88 "IP pool not unique" RetryLater "See the message; it is tried again by itself.";
    Layer7LoadBalancerCacheSyncError 89 "Layer 7 load balancer cache sync error" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolDoesNotExist 90 "Load balancer pool does not exist" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerRuleCacheInitError 91 "Load balancer rule cache init error" RetryLater "See the message; it is tried again by itself.";
    SnatProcessFailed 92 "SNAT process failed" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerDefaultCertificateError 93 "Load balancer default certificate error" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerEndpointDeletionFailed 94 "Load balancer endpoint deletion failed" RetryLater "See the message; it is tried again by itself.";
    ProjectNotFound 95 "Project not found" RetryLater "See the message; it is tried again by itself.";
    PoolAccessDenied 96 "Pool access denied" RetryLater "See the message; it is tried again by itself.";
    FailedToGetLoadBalancerService 97 "Failed to get load balancer service" RetryLater "See the message; it is tried again by itself.";
    FailedToCreateLoadBalancerService 98 "Failed to create load balancer service" RetryLater "See the message; it is tried again by itself.";
    LoadBalancerPoolCacheSyncError 99 "Load balancer pool cache sync error" RetryLater "See the message; it is tried again by itself.";
    OvsUplinkNotFound 1001 "OVS uplink not found" RetryLater "See the message; it is tried again by itself.";
    HostMacNotFound 1002 "Host MAC not found" RetryLater "See the message; it is tried again by itself.";
    OvsPortCreationFailed 1003 "OVS port creation failed" RetryLater "See the message; it is tried again by itself.";
    NoPodConfiguration 1004 "No pod configuration" RetryLater "See the message; it is tried again by itself.";
    PodConfigurationFailed 1005 "Pod configuration failed" RetryLater "See the message; it is tried again by itself.";
    PodUnconfigurationFailed 1006 "Pod un-configuration failed" RetryLater "See the message; it is tried again by itself.";
    CniSocketNotFound 1007 "CNI socket not found" RetryLater "See the message; it is tried again by itself.";
    CniConnectionFailed 1008 "CNI connection failed" RetryLater "See the message; it is tried again by itself.";
    CniVersionMismatch 1009 "CNI version mismatch" RetryLater "See the message; it is tried again by itself.";
    CniMessageReceiveFailed 1010 "CNI message receive failed" RetryLater "See the message; it is tried again by itself.";
    CniMessageTransmitFailed 1011 "CNI message transmit failed" RetryLater "See the message; it is tried again by itself.";
    HyperbusConnectionFailed 1012 "Hyperbus connection failed" RetryLater "See the message; it is tried again by itself.";
    HyperbusVersionMismatch 1013 "Hyperbus version mismatch" RetryLater "See the message; it is tried again by itself.";
    HyperbusMessageReceiveFailed 1014 "Hyperbus message receive failed" RetryLater "See the message; it is tried again by itself.";
    HyperbusMessageTransmitFailed 1015 "Hyperbus message transmit failed" RetryLater "See the message; it is tried again by itself.";
    GarpSendFailed 1016 "GARP send failed" RetryLater "See the message; it is tried again by itself.";
    InterfaceConfigurationFailed 1017 "Interface configuration failed" RetryLater "See the message; it is tried again by itself.";
    ProxyInvalidGatewayPort 2001 "Proxy invalid gateway port" RetryLater "See the message; it is tried again by itself.";
    ProxyCommandFailed 2002 "Proxy command failed" RetryLater "See the message; it is tried again by itself.";
    ProxyValidationFailed 2003 "Proxy validation failed" RetryLater "See the message; it is tried again by itself.";
    CliStartFailed 3001 "CLI start failed" RetryLater "See the message; it is tried again by itself.";
    CliSocketCreationFailed 3002 "CLI socket creation failed" RetryLater "See the message; it is tried again by itself.";
    CliSocketException 3003 "CLI socket exception" RetryLater "See the message; it is tried again by itself.";
    CliClientInvalidRequest 3004 "CLI client invalid request" RetryLater "See the message; it is tried again by itself.";
    CliServerTransmitFailed 3005 "CLI server transmit failed" RetryLater "See the message; it is tried again by itself.";
    CliServerReceiveFailed 3006 "CLI server receive failed" RetryLater "See the message; it is tried again by itself.";
    CliCommandExecutionFailed 3007 "CLI command execution failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesConnectionFailed 5001 "Kubernetes connection failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesInvalidConfiguration 5002 "Kubernetes invalid configuration" RetryLater "See the message; it is tried again by itself.";
    KubernetesRequestFailed 5003 "Kubernetes request failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesKeyNotFound 5004 "Kubernetes key not found" RetryLater "See the message; it is tried again by itself.";
    KubernetesTypeNotFound 5005 "Kubernetes type not found" RetryLater "See the message; it is tried again by itself.";
    KubernetesWatcherException 5006 "Kubernetes watcher exception" RetryLater "See the message; it is tried again by itself.";
    KubernetesResourceInvalidLength 5007 "Kubernetes resource invalid length" RetryLater "See the message; it is tried again by itself.";
    KubernetesResourceInvalidType 5008 "Kubernetes resource invalid type" RetryLater "See the message; it is tried again by itself.";
    KubernetesResourceHandleFailed 5009 "Kubernetes resource handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesServiceHandleFailed 5010 "Kubernetes service handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesEndpointHandleFailed 5011 "Kubernetes endpoint handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesIngressHandleFailed 5012 "Kubernetes ingress handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesNetworkPolicyHandleFailed 5013 "Kubernetes network policy handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesNodeHandleFailed 5014 "Kubernetes node handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesNamespaceHandleFailed 5015 "Kubernetes namespace handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesPodHandleFailed 5016 "Kubernetes pod handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesSecretHandleFailed 5017 "Kubernetes secret handle failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesDefaultBackendFailed 5018 "Kubernetes default backend failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesMatchExpressionNotSupported 5019 "Kubernetes match expression not supported" RetryLater "See the message; it is tried again by itself.";
    KubernetesStatusUpdateFailed 5020 "Kubernetes status update failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesAnnotationUpdateFailed 5021 "Kubernetes annotation update failed" RetryLater "See the message; it is tried again by itself.";
    KubernetesNamespaceCacheNotFound 5022 "Kubernetes namespace cache not found" RetryLater "See the message; it is tried again by itself.";
    KubernetesSecretNotFound 5023 "Kubernetes secret not found" RetryLater "See the message; it is tried again by itself.";
    KubernetesDefaultBackendInUse 5024 "Kubernetes default backend in use" RetryLater "See the message; it is tried again by itself.";
    KubernetesLoadBalancerServiceHandleFailed 5025 "Kubernetes LoadBalancer service handle failed" RetryLater "See the message; it is tried again by itself.";
    PcfBbsConnectionFailed 6001 "PCF BBS connection failed" RetryLater "See the message; it is tried again by itself.";
    PcfCapiConnectionFailed 6002 "PCF CAPI connection failed" RetryLater "See the message; it is tried again by itself.";
    PcfCacheNotFound 6006 "PCF cache not found" RetryLater "See the message; it is tried again by itself.";
    PcfUnknownDomain 6007 "PCF unknown domain" RetryLater "See the message; it is tried again by itself.";
    PcfPolicyServerConnectionFailed 6020 "PCF policy server connection failed" RetryLater "See the message; it is tried again by itself.";
    PcfPolicyProcessingFailed 6021 "PCF policy processing failed" RetryLater "See the message; it is tried again by itself.";
    PcfEventProcessingFailed 6030 "PCF event processing failed" RetryLater "See the message; it is tried again by itself.";
    PcfUnexpectedEventType 6031 "PCF unexpected event type" RetryLater "See the message; it is tried again by itself.";
    PcfUnexpectedEventInstance 6032 "PCF unexpected event instance" RetryLater "See the message; it is tried again by itself.";
    PcfTaskDeletionFailed 6033 "PCF task deletion failed" RetryLater "See the message; it is tried again by itself.";
    PcfFileAccessFailed 6034 "PCF file access failed" RetryLater "See the message; it is tried again by itself.";
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
}
