//! The table of options: what `ncp.ini` may say.
//!
//! `[DEFAULT]` to `[nsx_v3]` are the guide's (R-CFG-02 to R-CFG-08) with what later versions of the
//! original added where this version uses it; `[cf]` and `[ncp]` are ours. `(idle)` marks an
//! option that is read and checked and does nothing yet.

use super::table::sections;
use super::value::{
    Adaptor, Address, CellMatch, CellVif, DenyAction, IngressMode, L4Persistence, L7Persistence, LogLevel,
    Manager, Name, NodeType, PlatformSource, PoolAlgorithm, Seconds, Secret, ServiceSize, WebUrl, Whole,
};
use ipnet::IpNet;
use std::path::PathBuf;

sections! {
    /// Logging of the whole program.
    ["DEFAULT"] Logs {
        /// Log to the standard error stream.
        use_stderr: bool = "True", "R-CFG-02";
        /// Log to the syslog daemon of this machine (`/dev/log`).
        use_syslog: bool = "False", "R-CFG-02";
        /// Root level DEBUG instead of INFO.
        debug: bool = "False", "R-CFG-02";
        /// Directory for log files; unset: no log file.
        log_dir: Option<PathBuf> = unset, "R-CFG-02";
        /// Name of the log file in `log_dir`.
        log_file: PathBuf = "ncp.log", "R-CFG-02";
        /// Size in megabytes at which the log file is set aside and compressed.
        log_rotation_file_max_mb: Whole<1, 1_000_000> = "100", "R-LOG-08";
        /// How many compressed log files are kept.
        log_rotation_backup_count: Whole<0, 1_000> = "5", "R-LOG-08";
    }

    /// The cluster (on Cloud Foundry: the foundation) and what watches it.
    ["coe"] Coe {
        /// The orchestrator. This version has `pcf`.
        adaptor: Adaptor = "kubernetes", "R-CFG-03";
        /// Tells the clusters on one NSX apart: tag `ncp/cluster` and first part of the names of all objects.
        /// Never change it on a cluster that has objects; they would be another cluster's then.
        cluster: Name = "k8scluster", "R-CFG-03";
        /// Level of the controller's own log; overrides the root level.
        loglevel: Option<LogLevel> = unset, "R-CFG-03";
        /// Level of the NSX API client's log.
        nsxlib_loglevel: Option<LogLevel> = "INFO", "R-CFG-03";
        /// Translate the source addresses of containers on the way out.
        enable_snat: bool = "True", "R-CFG-03";
        /// What the nodes are. This version serves `HOSTVM`.
        node_type: NodeType = "HOSTVM", "R-CFG-03" (idle);
        /// Seconds to regain a lost manager or orchestrator before the program ends; 0: never end.
        /// Connections are regained without a restart, so 0 is right unless a supervisor should know.
        connect_retry_timeout: Seconds<0, 86_400> = "0", "NCP 2.4.1" (idle);
    }

    /// Leadership among several controllers of one cluster.
    ["ha"] Ha {
        /// Elect a leader. Off, this controller writes without asking: run one only.
        enable: bool = "True", "R-NCP-07";
        /// Seconds for which an elected controller may write without renewing.
        /// `heartbeat_period` + `update_timeout` must be less.
        master_timeout: Seconds<2, 3_600> = "9", "R-CFG-04";
        /// Seconds between renewals.
        heartbeat_period: Seconds<1, 3_600> = "3", "R-CFG-04";
        /// Seconds after which a renewal without an answer is given up.
        update_timeout: Seconds<1, 3_600> = "3", "R-CFG-04";
    }

    /// The Kubernetes API server. Read and checked, without effect in this version.
    ["k8s"] K8s {
        /// Address of the API server; unset: environment `KUBERNETES_SERVICE_HOST`.
        apiserver_host_ip: Option<Name> = unset, "R-CFG-05" (idle);
        /// Port of the API server; unset: environment `KUBERNETES_SERVICE_PORT`.
        apiserver_host_port: Option<Whole<1, 65_535>> = unset, "R-CFG-05" (idle);
        /// CA certificates for the API server.
        ca_file: Option<PathBuf> = unset, "R-CFG-05" (idle);
        /// File with the token for the API server.
        client_token_file: Option<PathBuf> = unset, "R-CFG-05" (idle);
        /// Client certificate; needs `client_private_key_file`.
        client_cert_file: Option<PathBuf> = unset, "R-CFG-05" (idle);
        /// Key of the client certificate.
        client_private_key_file: Option<PathBuf> = unset, "R-CFG-05" (idle);
        /// Level of the Kubernetes adaptor's log.
        loglevel: Option<LogLevel> = unset, "R-CFG-05" (idle);
        /// How ingress controllers reach the outside.
        ingress_mode: IngressMode = "hostnetwork", "R-CFG-05" (idle);
        /// Don't verify the API server's certificate.
        insecure: bool = "False", "R-CFG-05" (idle);
    }

    /// The NSX managers and what the network is made of.
    ["nsx_v3"] NsxV3 {
        /// The managers: one address, those of a cluster, or the cluster's virtual address.
        nsx_api_managers: Vec<Manager> = required, "R-CFG-08";
        /// User for basic and session authentication; ignored when a client certificate is given.
        nsx_api_user: Option<Name> = unset, "R-CFG-08";
        /// Password of `nsx_api_user`.
        nsx_api_password: Option<Secret> = unset, "R-CFG-08, L-58";
        /// Client certificate (PEM) of a principal identity; needs `nsx_api_private_key_file`.
        nsx_api_cert_file: Option<PathBuf> = unset, "R-NCP-06";
        /// Key (PEM) of the client certificate.
        nsx_api_private_key_file: Option<PathBuf> = unset, "R-NCP-06";
        /// Don't verify the managers' certificates. Whoever can answer in a manager's place then rules the network.
        insecure: bool = "False", "R-CFG-08";
        /// CA certificates (PEM) for the managers: one file for all, or one for each in their order;
        /// unset: the system's.
        ca_file: Vec<PathBuf> = unset, "R-NCP-05";
        /// Seconds to connect.
        http_timeout: Seconds<1, 3_600> = "10", "R-CFG-08";
        /// Seconds to wait for an answer.
        http_read_timeout: Seconds<1, 3_600> = "180", "R-CFG-08";
        /// Attempts to connect beyond the first.
        http_retries: Whole<0, 100> = "3", "R-CFG-08";
        /// Connections to each manager.
        concurrent_connections: Whole<1, 1_000> = "10", "R-CFG-08";
        /// Seconds without traffic after which a manager is asked whether it is there.
        conn_idle_timeout: Seconds<1, 86_400> = "10", "R-CFG-08";
        /// HTTP redirects followed.
        redirects: Whole<0, 100> = "2", "R-CFG-08";
        /// Attempts at one change that another's change overtook.
        retries: Whole<0, 1_000> = "10", "R-CFG-08";
        /// Requests a second to each manager; unset: what the manager says it allows.
        max_api_rate: Option<Whole<1, 100_000>> = unset, "NCP 3.1";
        /// Prefix length of the subnets cut from `container_ip_blocks`.
        subnet_prefix: Whole<1, 30> = "24", "R-IPAM-05";
        /// Prefix length of a cluster's part of a shared external pool; unset: `subnet_prefix`.
        external_subnet_prefix: Option<Whole<1, 32>> = unset, "R-IPAM-07" (idle);
        /// The tier-0 router above all projects.
        tier0_router: Option<Name> = unset, "R-RES-04" alias "top_tier_router";
        /// The overlay transport zone; unset: the one of the tier-0 router.
        overlay_tz: Option<Name> = unset, "R-RES-03";
        /// Address blocks of the containers. A name must be unique.
        container_ip_blocks: Vec<Name> = unset, "R-IPAM-01";
        /// Address blocks of projects without translation; unset: `container_ip_blocks`.
        no_snat_ip_blocks: Vec<Name> = unset, "R-IPAM-02";
        /// Address pools for translation.
        external_ip_pools: Vec<Name> = unset, "R-IPAM-06";
        /// Address pools for load balancers; unset: `external_ip_pools`.
        external_ip_pools_lb: Vec<Name> = unset, "R-CFG-08" (idle);
        /// Firewall section below which policies go; unset: the very top.
        top_firewall_section_marker: Option<Name> = unset, "R-FW-01, D-22";
        /// Firewall section above which isolation goes; unset: the very bottom.
        bottom_firewall_section_marker: Option<Name> = unset, "R-FW-01, D-22";
        /// Log what the firewall denies.
        log_dropped_traffic: bool = "False", "R-FW-06";
        /// Hold a container back until its firewall rules are realized, not only its port.
        wait_for_security_policy_sync: bool = "False", "NCP 3.1" (idle);
        /// Report errors through NSXError objects of Kubernetes.
        enable_nsx_err_crd: bool = "False", "R-NCP-08" (idle);
        /// Serve LoadBalancer services and ingresses with NSX.
        use_native_loadbalancer: bool = "False", "R-CFG-08, D-09" (idle);
        /// Add load balancer services as they fill.
        l4_lb_auto_scaling: bool = "True", "R-SLB-10" (idle);
        /// Take ingresses that name no class.
        default_ingress_class_nsx: bool = "True", "R-CFG-08" (idle);
        /// Default certificate for HTTPS load balancing; needs `lb_priv_key_path`.
        lb_default_cert_path: Option<PathBuf> = unset, "R-CERT-03" (idle);
        /// Key of the default certificate.
        lb_priv_key_path: Option<PathBuf> = unset, "R-CERT-03" (idle);
        /// How connections are spread.
        pool_algorithm: PoolAlgorithm = "ROUND_ROBIN", "R-CFG-08" (idle);
        /// Size of new load balancer services.
        service_size: ServiceSize = "SMALL", "R-CFG-08" (idle);
        /// What keeps a client at one HTTP server.
        l7_persistence: Option<L7Persistence> = unset, "R-CFG-08" (idle);
        /// What keeps a client at one TCP server.
        l4_persistence: Option<L4Persistence> = unset, "R-CFG-08" (idle);
        /// Existing load balancer service to use.
        lb_service: Option<Name> = unset, "R-CFG-08" (idle);
        /// Virtual servers for LoadBalancer services in the cluster.
        max_allowed_virtual_servers: Whole<1, { u64::MAX }> = "1000", "R-SLB-11" (idle);
    }

    /// Cloud Foundry's endpoints and what its objects mean for the network. Needed when `[coe] adaptor` is `pcf`.
    /// The addresses default to the platform's internal names.
    ["cf"] Cf {
        /// UAA, which gives out tokens.
        uaa_url: WebUrl = "https://uaa.service.cf.internal:8443", "own";
        /// UAA client that may read all organizations, spaces and security groups
        /// (authority `cloud_controller.admin_read_only` or `cloud_controller.global_auditor`).
        uaa_client_id: Option<Name> = unset, "own";
        /// Secret of the UAA client.
        uaa_client_secret: Option<Secret> = unset, "own, L-58";
        /// CA certificates for UAA; unset: the system's.
        uaa_ca_file: Option<PathBuf> = unset, "own";
        /// Cloud Controller.
        capi_url: WebUrl = "https://cloud-controller-ng.service.cf.internal:9024", "own";
        /// CA certificates for Cloud Controller; unset: the system's.
        capi_ca_file: Option<PathBuf> = unset, "own";
        /// Cloud Controller's internal endpoint, which says cheaply whether a security group changed;
        /// unset: the groups are polled.
        capi_internal_url: Option<WebUrl> = unset, "own";
        /// CA certificates for the internal endpoint.
        capi_internal_ca_cert: Option<PathBuf> = unset, "own";
        /// Client certificate for the internal endpoint.
        capi_internal_client_cert: Option<PathBuf> = unset, "own";
        /// Key of that certificate.
        capi_internal_client_key: Option<PathBuf> = unset, "own";
        /// Seconds between looks at Cloud Controller.
        capi_poll_interval: Seconds<1, 3_600> = "15", "own";
        /// The BBS; each is tried, one at a time is active.
        bbs_urls: Vec<WebUrl> = "https://bbs.service.cf.internal:8889", "own";
        /// CA certificates for the BBS.
        bbs_ca_cert: Option<PathBuf> = unset, "own";
        /// Client certificate for the BBS.
        bbs_client_cert: Option<PathBuf> = unset, "own";
        /// Key of that certificate.
        bbs_client_key: Option<PathBuf> = unset, "own";
        /// The policy server's internal endpoint.
        policy_server_url: WebUrl = "https://policy-server.service.cf.internal:4003", "own";
        /// CA certificates for the policy server.
        policy_ca_cert: Option<PathBuf> = unset, "own";
        /// Client certificate for the policy server.
        policy_client_cert: Option<PathBuf> = unset, "own";
        /// Key of that certificate.
        policy_client_key: Option<PathBuf> = unset, "own";
        /// Seconds between looks at the policy server.
        policy_poll_interval: Seconds<1, 3_600> = "5", "own";
        /// Locket servers, which hold the leader's lock; any one will do.
        locket_addresses: Vec<Address> = "locket.service.cf.internal:8891", "own";
        /// CA certificates for Locket; unset, all three: those of the BBS.
        locket_ca_cert: Option<PathBuf> = unset, "own";
        /// Client certificate for Locket.
        locket_client_cert: Option<PathBuf> = unset, "own";
        /// Key of that certificate.
        locket_client_key: Option<PathBuf> = unset, "own";
        /// Name of the leader's lock; unset: `ncp/<cluster>`.
        lock_key: Option<Name> = unset, "own";
        /// From where the platform dials containers: its routers, TCP routers and SSH proxies.
        /// Without them nothing outside reaches an app.
        platform_sources: Vec<PlatformSource> = unset, "own";
        /// What happens to a packet that no rule allows.
        deny_action: DenyAction = "reject", "own";
        /// Destinations for which the source address is not translated.
        no_masquerade_cidrs: Vec<IpNet> = unset, "own";
        /// Let an app whose `NCP_SNAT_POOL` can't be served use its org's address, instead of holding its
        /// traffic to the outside back.
        snat_fallback_to_org: bool = "False", "R-SNAT-31";
        /// Most addresses that apps of all orgs may have from one pool; unset: no bound.
        snat_max_per_pool: Option<Whole<1, 1_000_000>> = unset, "own";
        /// Most addresses that apps of one org may have; unset: no bound.
        snat_max_per_org: Option<Whole<1, 1_000_000>> = unset, "own";
        /// Make the network of each org at once, not at its first container. A block has room for about a
        /// thousand orgs, and most orgs are empty.
        eager_orgs: bool = "False", "own";
        /// How the VIF of a cell is found; the ways are tried in this order.
        cell_match: Vec<CellMatch> = "node_name, bosh_id", "R-RES-06, own";
        /// VIFs of cells that no tag tells; go before `cell_match`.
        cell_vifs: Vec<CellVif> = unset, "own";
    }

    /// This program itself.
    ["ncp"] Ncp {
        /// Unix socket of the admin API, which serves health, status, plan and metrics.
        admin_socket: PathBuf = "/var/run/nsx-ujo/ncp.sock", "own";
        /// Address of this machine that serves the same over TCP, `127.0.0.1:<port>`; unset: no TCP.
        admin_address: Option<Address> = unset, "own";
        /// Seconds for running changes to end after SIGTERM.
        drain_timeout: Seconds<0, 600> = "10", "own";
    }
}

/// Sections of the node's components. One file may serve all components (R-CFG-01), so whatever
/// stands there is left alone.
pub(super) const OTHERS: &[&str] = &["nsx_node_agent", "nsx_kube_proxy"];

/// Options that other versions of the original have and this one has no use for. They are noticed and
/// not refused, so that a file may come along from such a version.
pub(super) const UNUSED: &[(&str, &[&str])] = &[
    (
        "DEFAULT",
        &[
            "loglevel",
            "api_log_mode",
            "api_call_log_per_cluster",
            "api_log_output",
            "api_log_file",
            "api_log_dir",
            "api_log_rotation_file_max_mb",
            "api_log_rotation_backup_count",
            "log_config_append",
            "logging_exception_prefix",
        ],
    ),
    (
        "k8s",
        &[
            "http_and_https_ingress_ip",
            "enable_lb_crd",
            "baseline_policy_type",
            "enable_ncp_event",
            "http_ingress_port",
            "https_ingress_port",
            "resource_watcher_thread_pool_size",
            "max_allowed_endpoints",
            "lb_ip_allocation",
            "lb_connection_multiplexing_enabled",
            "lb_connection_multiplexing_number",
            "statefulset_ip_range",
            "enable_namespace_subnets",
            "enable_hostport_snat",
            "enable_restore",
            "enable_prometheus_metrics",
            "prometheus_metrics_port",
            "label_filtering_regex_list",
            "enable_ncp_setting_crd",
        ],
    ),
    (
        "nsx_v3",
        &[
            "l7_persistence_timeout",
            "x_forwarded_for",
            "policy_nsxapi",
            "single_tier_topology",
            "cluster_unavailable_retry",
            "edge_cluster",
            "lb_vs_ip_set",
            "dns_servers",
            "ls_replication_mode",
            "search_node_tag_on",
            "vif_app_id_type",
            "thumbprint",
            "client_ssl_profile",
            "failover_mode",
            "v6_subnet_prefix",
            "log_firewall_traffic",
            "enable_rule_tag",
            "api_rate_limit_mode",
            "lb_http_request_header_size",
            "lb_http_response_header_size",
            "lb_http_response_timeout",
            "lb_hc_profile_interval",
            "lb_hc_profile_timeout",
            "lb_hc_profile_rise_count",
            "lb_hc_profile_fall_count",
            "ncp_enforced_pool_member_limit",
            "members_per_small_lbs",
            "members_per_medium_lbs",
            "relax_scale_validation",
            "configure_t0_redistribution",
            "enable_inventory",
            "segment_gc_interval",
            "enable_sha",
            "cookie_name",
            "snat_rule_logging",
            "vs_access_log",
            "ip_reallocation_time",
            "natfirewallmatch",
            "use_ip_blocks_in_order",
            "l4_lb_auto_scaling_local_cache",
            "sync_realization",
            "enable_mixed_expression_groups",
        ],
    ),
];
