//! What no single option can tell: rules between options.

use super::builder::Builder;
use super::sections::{Cf, Coe, Ha, K8s, Logs, Ncp, NsxV3};
use super::value::{Adaptor, NodeType, Wrong};

impl Builder<'_, '_> {
    /// R-CFG-04: a leader must renew, or learn that it can't, before its time is over.
    pub(super) fn check_ha(&mut self, ha: &Ha) {
        let needed = ha.heartbeat_period.get() + ha.update_timeout.get();
        if ha.enable && needed >= ha.master_timeout.get() {
            let what = format!(
                "{} s is not more than heartbeat_period + update_timeout = {} s, so a leader could lose its lock unawares",
                ha.master_timeout.get().as_secs(),
                needed.as_secs()
            );
            let instead = format!(
                "set it to {} or more, or shorten the other two",
                needed.as_secs() + 1
            );
            self.reader
                .wrong("ha", "master_timeout", Wrong::new(what, instead));
        }
    }

    /// What this version serves.
    pub(super) fn check_coe(&mut self, coe: &Coe) {
        if coe.adaptor != Adaptor::Pcf {
            let what = format!("this version has no adaptor {}", coe.adaptor.as_str());
            self.reader
                .wrong("coe", "adaptor", Wrong::new(what, "set adaptor = pcf"));
        }
        if coe.node_type != NodeType::HostVm {
            let what = format!("this version does not serve {} nodes", coe.node_type.as_str());
            self.reader
                .wrong("coe", "node_type", Wrong::new(what, "set node_type = HOSTVM"));
        }
    }

    /// The objects that must exist on NSX beforehand (R-RES), and pairs.
    pub(super) fn check_nsx(&mut self, coe: &Coe, nsx: &NsxV3) {
        if nsx.tier0_router.is_none() {
            self.lacks(
                "nsx_v3",
                "tier0_router",
                "the routers of all projects connect to it",
            );
        }
        if nsx.container_ip_blocks.is_empty() {
            self.lacks(
                "nsx_v3",
                "container_ip_blocks",
                "containers get their addresses from it",
            );
        }
        if coe.enable_snat && nsx.external_ip_pools.is_empty() {
            self.lacks(
                "nsx_v3",
                "external_ip_pools",
                "enable_snat = True takes addresses from it",
            );
        }
        self.check_markers(nsx);
        self.check_repeated_managers(nsx);
        let lb = (
            nsx.lb_default_cert_path.as_deref(),
            nsx.lb_priv_key_path.as_deref(),
        );
        if nsx.use_native_loadbalancer {
            self.identity(
                "nsx_v3",
                ("lb_default_cert_path", lb.0),
                ("lb_priv_key_path", lb.1),
            );
        }
        if nsx.insecure {
            let wrong = Wrong::new(
                "the managers' certificates are not verified",
                "set ca_file and insecure = False",
            );
            self.reader.notice("nsx_v3", "insecure", wrong);
        }
    }

    fn check_markers(&mut self, nsx: &NsxV3) {
        let (top, bottom) = (
            &nsx.top_firewall_section_marker,
            &nsx.bottom_firewall_section_marker,
        );
        if top.is_some() && top == bottom {
            let what = "it is the top marker too, and the bottom one must lie below it (R-FW-02)";
            self.reader.wrong(
                "nsx_v3",
                "bottom_firewall_section_marker",
                Wrong::new(what, "name another section"),
            );
        }
    }

    fn check_repeated_managers(&mut self, nsx: &NsxV3) {
        for (at, manager) in nsx.nsx_api_managers.iter().enumerate() {
            if nsx.nsx_api_managers[..at].contains(manager) {
                let wrong = Wrong::new(format!("{manager} is named twice"), "name each manager once");
                self.reader.wrong("nsx_v3", "nsx_api_managers", wrong);
            }
        }
    }

    /// The Kubernetes options are checked for the component that uses them.
    pub(super) fn check_k8s(&mut self, coe: &Coe, k8s: &K8s) {
        if coe.adaptor == Adaptor::Pcf {
            return;
        }
        self.identity(
            "k8s",
            ("client_cert_file", k8s.client_cert_file.as_deref()),
            ("client_private_key_file", k8s.client_private_key_file.as_deref()),
        );
    }

    /// What of `[cf]` is worth a word though nothing is missing.
    pub(super) fn check_cf(&mut self, cf: &Cf) {
        if cf.platform_sources.is_empty() {
            let what =
                "no platform sources are named, so routers and SSH proxies can't reach containers directly";
            let instead =
                "name their networks, unless the platform reaches containers through host ports only";
            self.reader
                .notice("cf", "platform_sources", Wrong::new(what, instead));
        }
        for net in &cf.no_masquerade_cidrs {
            if net.addr().is_ipv6() {
                let what = format!("{net} has no effect, since only IPv4 addresses are translated");
                self.reader
                    .notice("cf", "no_masquerade_cidrs", Wrong::new(what, "remove it"));
            }
        }
    }

    /// Somebody must hear the log.
    pub(super) fn check_logs(&mut self, logs: &Logs) {
        if !logs.use_stderr && !logs.use_syslog && logs.log_dir.is_none() {
            let wrong = Wrong::new(
                "nothing is logged anywhere",
                "set log_dir, use_syslog or use_stderr",
            );
            self.reader.notice("DEFAULT", "use_stderr", wrong);
        }
    }

    /// The admin API has no login of its own.
    pub(super) fn check_ncp(&mut self, ncp: &Ncp) {
        let Some(address) = &ncp.admin_address else { return };
        if !address.socket().is_some_and(|socket| socket.ip().is_loopback()) {
            let what = format!("{address} could be reached from other machines");
            self.reader.wrong(
                "ncp",
                "admin_address",
                Wrong::new(what, "write 127.0.0.1:<port> or [::1]:<port>"),
            );
        }
    }
}
