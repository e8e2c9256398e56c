//! What a freshly installed manager already holds: system switching profiles, the MAC pool, the default firewall
//! sections and the singletons.

use serde_json::{Value, json};

use super::Kind;
use crate::store::{Body, New, Tx};

/// Sequence number of a default section: behind everything.
const LAST: i64 = i64::MAX / 2;

/// Id of the exclude list.
pub(crate) const EXCLUDE_LIST: &str = "exclude-list";
/// Id of the distributed firewall's switch.
pub(crate) const FIREWALL_STATUS: &str = "transport_nodes";
/// Id of the HTTP service's settings.
pub(crate) const HTTP_SERVICE: &str = "http";

/// Makes the system's objects, unless they are there.
pub(crate) fn seed(tx: &mut Tx<'_>) {
    if tx.view().count(Kind::FirewallSection) > 0 {
        return;
    }
    profiles(tx);
    let ranges = json!([{ "start": "04:50:56:00:00:00", "end": "04:50:56:FF:FF:FF" }]);
    system(
        tx,
        Kind::MacPool,
        "DefaultMacPool",
        json!({ "resource_type": "MacPool", "ranges": ranges }),
    );
    section(tx, "Default Layer3 Section", "LAYER3");
    section(tx, "Default Layer2 Section", "LAYER2");
    singletons(tx);
}

fn profiles(tx: &mut Tx<'_>) {
    let profiles = [
        (
            "nsx-default-spoof-guard-vif-profile",
            "SpoofGuardSwitchingProfile",
            json!({ "white_list_providers": [] }),
        ),
        (
            "nsx-default-ip-discovery-vif-profile",
            "IpDiscoverySwitchingProfile",
            json!({ "arp_snooping_enabled": true, "arp_bindings_limit": 1, "dhcp_snooping_enabled": true, "vm_tools_enabled": true }),
        ),
        (
            "nsx-default-mac-profile",
            "MacManagementSwitchingProfile",
            json!({ "mac_change_allowed": false }),
        ),
        (
            "nsx-default-switch-security-vif-profile",
            "SwitchSecuritySwitchingProfile",
            json!({ "block_non_ip_traffic": false }),
        ),
        (
            "nsx-default-qos-switching-profile",
            "QosSwitchingProfile",
            json!({ "class_of_service": 0, "shaper_configuration": [] }),
        ),
        (
            "nsx-default-port-mirroring-profile",
            "PortMirroringSwitchingProfile",
            json!({}),
        ),
    ];
    for (name, of, mut fields) in profiles {
        fields["resource_type"] = json!(of);
        system(tx, Kind::SwitchingProfile, name, fields);
    }
}

fn section(tx: &mut Tx<'_>, name: &str, layer: &str) {
    let body = json!({
        "resource_type": "FirewallSection", "section_type": layer, "stateful": layer == "LAYER3", "is_default": true,
        "autoplumbed": false, "enforced_on": "VIF", "locked": false, "rule_count": 1,
    });
    let section = tx.create(New::of(Kind::FirewallSection, named(name, body)).seq(LAST));
    let rule = json!({
        "resource_type": "FirewallRule", "action": "ALLOW", "direction": "IN_OUT", "ip_protocol": "IPV4_IPV6",
        "logged": false, "disabled": false, "sources_excluded": false, "destinations_excluded": false,
        "is_default": true, "section_id": section.id.as_ref(),
    });
    let number = tx.number();
    let rule = New::of(Kind::FirewallRule, named(&format!("Default {layer} Rule"), rule));
    tx.create(rule.id(number.to_string()).parent(&section.id).seq(LAST));
}

fn singletons(tx: &mut Tx<'_>) {
    let list = json!({ "resource_type": "ExcludeList", "members": [] });
    tx.create(New::of(Kind::ExcludeList, fields(list)).id(EXCLUDE_LIST));
    let status = json!({
        "resource_type": "FirewallStatus", "context": "transport_nodes", "global_status": "ENABLED", "target_statuses": [],
    });
    tx.create(New::of(Kind::FirewallStatus, fields(status)).id(FIREWALL_STATUS));
    let service = json!({
        "connection_timeout": 30, "session_timeout": 1800, "client_api_rate_limit": 0,
        "client_api_concurrency_limit": 0, "global_api_concurrency_limit": 0, "redirect_host": "",
    });
    let service = json!({ "service_name": "http", "service_properties": service });
    tx.create(New::of(Kind::HttpService, fields(service)).id(HTTP_SERVICE));
}

fn system(tx: &mut Tx<'_>, kind: Kind, name: &str, body: Value) {
    let mut body = named(name, body);
    body.insert("_system_owned".into(), json!(true));
    tx.create(New::of(kind, body));
}

fn named(name: &str, body: Value) -> Body {
    let mut body = fields(body);
    body.insert("display_name".into(), json!(name));
    body.insert("tags".into(), json!([]));
    body
}

fn fields(body: Value) -> Body {
    match body {
        Value::Object(fields) => fields,
        _ => Body::new(),
    }
}
