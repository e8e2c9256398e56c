"""Drives a running emulator with vmware-nsxlib, a client that nobody here wrote.

Usage: drive.py MANAGER_URL CONTROL_URL USER PASSWORD
"""

import logging
import sys
import unittest
import urllib.request
import json
import warnings

warnings.simplefilter("ignore")

from vmware_nsxlib import v3  # noqa: E402
from vmware_nsxlib.v3 import config, exceptions  # noqa: E402
from vmware_nsxlib.v3.resources import LogicalPort  # noqa: E402,F401

MANAGER, CONTROL, USER, PASSWORD = sys.argv[1:5]
TAGS = [{"scope": "ncp/cluster", "tag": "c1"}, {"scope": "ncp/project", "tag": "org-a"}]


class Binding:
    """What nsxlib expects of an address binding."""

    vlan = None

    def __init__(self, ip_address, mac_address):
        self.ip_address = ip_address
        self.mac_address = mac_address


def control(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CONTROL + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def connect():
    settings = config.NsxLibConfig(
        nsx_api_managers=[MANAGER], username=USER, password=PASSWORD, max_attempts=4, retries=1
    )
    return v3.NsxLib(settings)


class Drive(unittest.TestCase):
    """Each test works in objects of its own."""

    @classmethod
    def setUpClass(cls):
        cls.lib = connect()
        cls.zone = cls.lib.transport_zone.find_by_display_name("overlay-tz")[0]["id"]
        cls.edge = cls.lib.edge_cluster.find_by_display_name("edge-cluster")[0]["id"]
        cls.tier0 = cls.lib.logical_router.find_by_display_name("tier0")[0]["id"]

    def tearDown(self):
        control("DELETE", "/faults")

    def switch(self, name, **more):
        return self.lib.logical_switch.create(name, self.zone, TAGS, **more)

    def child(self, switch, vif, tag, **more):
        parent = control("GET", "/inventory")["VirtualNetworkInterface"][0]["lport_attachment_id"]
        return self.lib.logical_port.create(
            switch, vif, TAGS, name=vif, vif_type="CHILD", parent_vif_id=parent, traffic_tag=tag, app_id=vif, **more
        )

    def test_start_sequence(self):
        control("DELETE", "/log")
        lib = connect()
        asked = [(entry["method"], entry["path"]) for entry in control("GET", "/log")]
        self.assertEqual(asked[0], ("POST", "/api/session/create"))
        self.assertIn(("GET", "/api/v1/reverse-proxy/node/health"), asked)
        self.assertIn(("GET", "/api/v1/spec/vmware/types/Tag"), asked)
        self.assertEqual(lib.get_version(), "2.4.0.0.0.12456646")
        self.assertEqual(lib.tag_limits.max_tags, 30)
        self.assertEqual(str(lib.cluster.health), "GREEN")

    def test_session_is_made_anew_when_it_ends(self):
        lib = connect()
        control("POST", "/sessions/expire")
        self.assertEqual(lib.logical_router.get(self.tier0)["router_type"], "TIER0")

    def test_switch_and_container_ports(self):
        switch = self.switch("c1-org-a-0")
        self.assertEqual(switch["_revision"], 0)
        port = self.child(switch["id"], "cif-1", 17, address_bindings=[Binding("10.16.0.5", "02:50:56:00:00:05")])
        self.assertEqual(port["attachment"]["context"]["traffic_tag"], 17)
        found = self.lib.logical_port.get_by_attachment("VIF", "cif-1")
        self.assertEqual([one["id"] for one in found["results"]], [port["id"]])
        with self.assertRaises(exceptions.ManagerError):
            self.child(switch["id"], "cif-1", 18)
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.delete("logical-ports/" + port["id"])
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.delete("logical-switches/" + switch["id"])
        detached = self.lib.logical_port.update(port["id"], None, attachment_type=None)
        self.assertNotIn("attachment", detached)
        self.lib.logical_port.delete(port["id"])
        with self.assertRaises(exceptions.ResourceNotFound):
            self.lib.logical_port.get(port["id"])
        self.lib.logical_switch.delete(switch["id"])

    def test_a_stale_revision_is_repeated(self):
        switch = self.switch("revisions")
        control("POST", "/faults", {"when": {"method": "PUT", "times": 2}, "effect": {"status": [412, 206]}})
        changed = self.lib.logical_switch.update(switch["id"], name="renamed")
        self.assertEqual((changed["display_name"], changed["_revision"]), ("renamed", 1))
        stale = dict(switch, display_name="stale")
        with self.assertRaises(exceptions.StaleRevision):
            self.lib.client.update("logical-switches/" + switch["id"], stale)

    def test_search_by_tags(self):
        tag = [{"scope": "ncp/project", "tag": "searched"}]
        made = [self.lib.logical_switch.create("s-%d" % at, self.zone, tag)["id"] for at in range(3)]
        found = self.lib.search_all_by_tags(tag, resource_type="LogicalSwitch")
        self.assertEqual(sorted(one["id"] for one in found), sorted(made))
        page = self.lib.search_by_tags(tag, resource_type="LogicalSwitch", page_size=2)
        self.assertEqual((len(page["results"]), page["cursor"], page["result_count"]), (2, "2", 3))

    def test_routers_links_and_nat(self):
        lib = self.lib
        tier1 = lib.logical_router.create("c1-org-a", TAGS)
        upper, lower = lib.router.add_router_link_port(tier1["id"], self.tier0, TAGS)
        self.assertEqual(lower["linked_logical_router_port_id"]["target_id"], upper["id"])
        self.assertEqual(lib.logical_router_port.get(upper["id"])["linked_logical_router_port_id"], lower["id"])
        lib.router.update_advertisement(tier1["id"], True, True, enabled=True)
        read = lib.client.get("logical-routers/%s/routing/advertisement" % tier1["id"])
        self.assertTrue(read["enabled"] and read["advertise_nsx_connected_routes"] and read["advertise_nat_routes"])
        lib.logical_router.update_advertisement_rules(
            tier1["id"], [{"display_name": "r", "networks": ["10.16.0.0/24"], "action": "ALLOW"}]
        )
        switch = self.switch("downlink")
        groups = [{"ip_addresses": ["10.16.7.1"], "prefix_length": 24}]
        far = lib.logical_port.create(switch["id"], None, TAGS, attachment_type=None)
        downlink = lib.router.create_logical_router_intf_port_by_ls_id(
            tier1["id"], "down", TAGS, switch["id"], far["id"], groups
        )
        self.assertEqual(lib.logical_port.get(far["id"])["attachment"]["id"], downlink["id"])
        rule = lib.logical_router.add_nat_rule(
            self.tier0, "SNAT", "192.0.2.10", source_net="10.16.7.0/24", rule_priority=1024
        )
        self.assertTrue(rule["id"].isdigit())
        lib.logical_router.update_nat_rule(self.tier0, rule["id"], translated_network="192.0.2.11")
        lib.logical_router.delete_nat_rule(self.tier0, rule["id"])
        with self.assertRaises(exceptions.ManagerError):
            lib.logical_router.add_nat_rule(tier1["id"], "SNAT", "192.0.2.10", source_net="10.16.7.0/24")
        with self.assertRaises(exceptions.ManagerError):
            lib.client.delete("logical-routers/" + tier1["id"])
        lib.router.remove_router_link_port(tier1["id"])
        lib.logical_router_port.delete(downlink["id"])
        lib.logical_router.delete(tier1["id"])

    def test_pools_and_subnets(self):
        pool = self.lib.ip_pool.create(
            "203.0.113.0/24", [{"start": "203.0.113.5", "end": "203.0.113.6"}], display_name="two"
        )
        first = self.lib.ip_pool.allocate(pool["id"])["allocation_id"]
        self.assertEqual(first, "203.0.113.5")
        self.lib.ip_pool.allocate(pool["id"], ip_addr="203.0.113.6")
        with self.assertRaises(exceptions.ManagerError) as refused:
            self.lib.ip_pool.allocate(pool["id"])
        self.assertEqual(refused.exception.error_code, 5109)
        self.assertEqual(self.lib.ip_pool.get(pool["id"])["pool_usage"]["free_ids"], 0)
        self.lib.ip_pool.release(pool["id"], first)
        left = self.lib.ip_pool.get_allocations(pool["id"])["results"]
        self.assertEqual([one["allocation_id"] for one in left], ["203.0.113.6"])
        self.lib.ip_pool.delete(pool["id"], force=True)

        block = self.lib.client.create("pools/ip-blocks", {"display_name": "b", "cidr": "10.99.0.0/22"})
        cidrs = [self.lib.ip_block_subnet.create(block["id"], 256)["cidr"] for _ in range(4)]
        self.assertEqual(cidrs, ["10.99.%d.0/24" % third for third in range(4)])
        with self.assertRaises(exceptions.ManagerError):
            self.lib.ip_block_subnet.create(block["id"], 256)
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.delete("pools/ip-blocks/" + block["id"])
        carved = self.lib.ip_block_subnet.list(block["id"])["results"]
        self.lib.ip_block_subnet.delete(carved[1]["id"])
        self.assertEqual(self.lib.ip_block_subnet.create(block["id"], 128)["cidr"], "10.99.1.0/25")

    def test_groups_and_ip_sets(self):
        lib = self.lib
        expression = lib.ns_group.get_port_tag_expression("ncp/project", "org-g")
        group = lib.ns_group.create("by-tag", "", [], membership_criteria=[expression])
        ip_set = lib.ip_set.create("set", ip_addresses=["10.0.0.0/8", "192.0.2.1-192.0.2.9"])
        lib.ns_group.add_members(group["id"], "IPSet", [ip_set["id"]])
        self.assertEqual(lib.ns_group.read(group["id"])["member_count"], 1)
        with self.assertRaises(exceptions.ManagerError):
            lib.client.delete("ip-sets/" + ip_set["id"])
        lib.ns_group.remove_member(group["id"], "IPSet", ip_set["id"])
        with self.assertRaises(exceptions.ManagerError):
            lib.ns_group.remove_member(group["id"], "IPSet", ip_set["id"], verify=True)
        lib.ip_set.update(ip_set["id"], ip_addresses=["10.0.0.0/9"])
        lib.ip_set.delete(ip_set["id"])
        switch = self.switch("grouped")
        port = lib.logical_port.create(
            switch["id"], "cif-g", [{"scope": "ncp/project", "tag": "org-g"}], name="g"
        )
        members = lib.client.get("ns-groups/%s/effective-logical-port-members" % group["id"])
        self.assertEqual([one["target_id"] for one in members["results"]], [port["id"]])
        lib.ns_group.delete(group["id"])

    def test_firewall(self):
        fw = self.lib.firewall_section
        group = self.lib.ns_group.create("applied", "", [])
        bottom = [one["id"] for one in fw.list() if one["display_name"] == "bottom_firewall_section_marker"][0]
        http = fw.get_l4portset_nsservice(destinations=["80", "8000-8010"])
        source = fw.get_ip_cidr_reference("10.0.0.0/8", "IPV4")
        rule = fw.get_rule_dict("one", sources=[source], services=[http], direction="IN")
        section = fw.create_with_rules(
            "c1-policy", "", [fw.get_nsgroup_reference(group["id"])], TAGS, "insert_before", bottom, [rule]
        )
        names = [one["display_name"] for one in fw.list()]
        self.assertEqual(names.index("c1-policy") + 1, names.index("bottom_firewall_section_marker"))
        self.assertEqual(names[-1], "Default Layer3 Section")
        added = fw.add_rule(fw.get_rule_dict("two", action="DROP"), section["id"])
        self.assertEqual(added["_revision"], fw.get(section["id"])["_revision"])
        fw.add_rules([fw.get_rule_dict("three"), fw.get_rule_dict("four")], section["id"], "insert_top")
        rules = fw.get_rules(section["id"])["results"]
        self.assertEqual([one["display_name"] for one in rules], ["three", "four", "one", "two"])
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.create("firewall/sections/%s/rules" % section["id"], fw.get_rule_dict("no revision"))
        fw.delete_rule(section["id"], rules[0]["id"])
        self.assertEqual(fw.get(section["id"])["rule_count"], 3)
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.delete("firewall/sections/" + section["id"])
        with self.assertRaises(exceptions.ManagerError):
            self.lib.client.delete("ns-groups/" + group["id"])
        fw.delete(section["id"])
        self.lib.ns_group.delete(group["id"])

    def test_what_is_not_there(self):
        gone = "00000000-0000-0000-0000-000000000000"
        for handler in (self.lib.logical_switch, self.lib.logical_port, self.lib.logical_router, self.lib.ip_pool):
            with self.assertRaises(exceptions.ResourceNotFound):
                handler.get(gone)
        with self.assertRaises(exceptions.ResourceNotFound):
            self.lib.logical_port.create(gone, "cif-x", [])

    def test_tag_limits(self):
        with self.assertRaises(exceptions.ManagerError):
            self.lib.logical_switch.create("t", self.zone, [{"scope": "s%d" % at, "tag": "t"} for at in range(31)])
        with self.assertRaises(exceptions.ManagerError):
            self.lib.logical_switch.create("t", self.zone, [{"scope": "s" * 129, "tag": "t"}])

    def test_an_overloaded_manager_is_asked_again(self):
        control("POST", "/faults", {"when": {"path": "/logical-routers", "times": 2}, "effect": {"status": [503, 98]}})
        self.assertEqual(self.lib.logical_router.get(self.tier0)["display_name"], "tier0")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    program = unittest.main(argv=sys.argv[:1], exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    print("nsxlib: %d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)
