"""Checks of UAA and Cloud Controller through cloudfoundry-client; the last line is the result."""

import json
import subprocess
import sys
import urllib.request

from cloudfoundry_client.client import CloudFoundryClient
from cloudfoundry_client.errors import InvalidEntity, InvalidStatusCode
from cloudfoundry_client.networking.v1.external.policies import Policy
from cloudfoundry_client.v3.entities import ToManyRelationship, ToOneRelationship
from cloudfoundry_client.v3.security_groups import GloballyEnabled, Rule, RuleProtocol
from oauth2_client.credentials_manager import OAuthError

started = json.load(open(sys.argv[1]))
mode, work, cli = sys.argv[2:5]
endpoints, credentials = started["endpoints"], started["credentials"]
verify = f"{work}/ca.pem" if mode == "tls" else True
passed = failed = 0


def check(what, condition, seen=""):
    global passed, failed
    if condition:
        passed += 1
        print(f"ok    {what}")
    else:
        failed += 1
        print(f"FAIL  {what}: {seen}")


def equal(what, seen, wanted):
    check(what, seen == wanted, f"{seen!r}, not {wanted!r}")


def status():
    with urllib.request.urlopen(endpoints["control"] + "/status") as answer:
        return json.load(answer)


def of_app(guid):
    return [row for row in status()["containers"] if row["app"] == guid]


def refused(what, code, call):
    try:
        call()
        check(what, False, "it was allowed")
    except InvalidStatusCode as error:
        equal(what, int(error.status_code), code)


def login(**kwargs):
    return CloudFoundryClient(endpoints["capi"], verify=verify, **kwargs)


# UAA: both grants, a wrong password, a token that stops being valid in the middle.
client = login()
try:
    client.init_with_user_credentials(credentials["user"], "wrong")
    check("a wrong password is refused", False, "it was accepted")
except OAuthError as error:
    equal("a wrong password is refused", int(error.status_code), 401)
client.init_with_user_credentials(credentials["user"], credentials["password"])
check("the password grant gives a refresh token", client.refresh_token is not None)
reader = login(client_id=credentials["client_id"], client_secret=credentials["client_secret"])
reader.init_with_client_credentials()
equal("the client credentials grant reads", reader.v3.organizations.list().total_results, 0)
refused("a reader may not write", 403, lambda: reader.v3.organizations.create("nope", False))

# Organizations and spaces.
org = client.v3.organizations.create("acme", False, meta_labels={"tier": "gold"})
orgs = {name: client.v3.organizations.create(name, False)["guid"] for name in ("beta", "gamma", "delta")}
equal("organizations are listed in order", [row["name"] for row in client.v3.organizations.list()], ["acme", "beta", "gamma", "delta"])
equal("pages are followed", len(list(client.v3.organizations.list(per_page=1))), 4)
equal("filters work", [row["name"] for row in client.v3.organizations.list(names=["beta", "delta"])], ["beta", "delta"])
equal("labels select", [row["name"] for row in client.v3.organizations.list(label_selector="tier=gold")], ["acme"])
refused("a name is unique", 422, lambda: client.v3.organizations.create("acme", False))
refused("an unknown parameter is refused", 400, lambda: client.v3.organizations.list(colour="red"))
space = client.v3.spaces.create("production", org["guid"])
equal("a space knows its organization", space.organization()["name"], "acme")
equal("include brings organizations", [row.organization()["name"] for row in client.v3.spaces.list(include="organization")], ["acme"])
equal("a rename is seen", client.v3.organizations.update(orgs["beta"], "beta2")["name"], "beta2")
client.v3.organizations.remove(orgs["delta"], asynchronous=False)
equal("a deletion ends as a job", client.v3.organizations.list().total_results, 3)

# An app by v2, as tools of 2019 make it: with a pool, started, scaled, deleted.
app = client.v2.apps.create(
    name="payments", space_guid=space["guid"], instances=2, memory=128, environment_json={"NCP_SNAT_POOL": "payments-pool"}
)
guid = app["metadata"]["guid"]
equal("a new app has no containers", of_app(guid), [])
client.v2.apps.start(guid)
rows = of_app(guid)
equal("started: two containers run", [row["state"] for row in rows], ["RUNNING", "RUNNING"])
equal("they carry the pool", {row["snat_pool"] for row in rows}, {"payments-pool"})
equal("and their space and organization", {(row["space"], row["org"]) for row in rows}, {(space["guid"], org["guid"])})
check("and addresses of their own", len({row["address"] for row in rows}) == 2)
client.v2.apps.update(guid, instances=5)
equal("scaled up by v2", len(of_app(guid)), 5)
equal("v2 lists the app", [row["entity"]["name"] for row in client.v2.apps.list(space_guid=space["guid"])], ["payments"])
process = next(iter(client.v3.apps.get(guid).processes()))
equal("v3 sees the process", (process["type"], process["instances"]), ("web", 5))
client.v3.processes._post(process["links"]["scale"]["href"], data={"instances": 3})
equal("scaled down by v3", sorted(row["index"] for row in of_app(guid)), [0, 1, 2])
before = {row["process_guid"] for row in of_app(guid)}
equal("the environment is read", client.v3.apps.get_env(guid)["environment_variables"], {"NCP_SNAT_POOL": "payments-pool"})
client.v2.apps.update(guid, environment_json={"NCP_SNAT_POOL": "other-pool"})
equal("an edited variable waits for a restart", {row["snat_pool"] for row in of_app(guid)}, {"payments-pool"})
client.v3.apps.restart(guid)
equal("a restart brings it", {row["snat_pool"] for row in of_app(guid)}, {"other-pool"})
check("under a new version", before.isdisjoint({row["process_guid"] for row in of_app(guid)}))
client.v2.apps.stop(guid)
equal("stopped: no containers", of_app(guid), [])

# An app by v3, with a task.
other = client.v3.apps._create({
    "name": "web", "relationships": {"space": ToOneRelationship(space["guid"])},
    "environment_variables": {"NCP_SNAT_POOL": "web-pool"},
})
other.start()
equal("v3: started", client.v3.apps.get(other["guid"])["state"], "STARTED")
equal("v3: one container", [row["snat_pool"] for row in of_app(other["guid"])], ["web-pool"])
task = client.v3.tasks.create(other["guid"], "bin/migrate", name="migrate")
equal("a task has a container", sorted(row["kind"] for row in of_app(other["guid"])), ["app", "task"])
client.v3.tasks.cancel(task["guid"])
equal("a cancelled task has none", [row["kind"] for row in of_app(other["guid"])], ["app"])
events = {row["type"] for row in client.v3.audit_events.list(target_guids=[other["guid"]])}
check("audit events tell of it", {"audit.app.create", "audit.app.start"} <= events, events)

# Security groups.
rules = [Rule(protocol=RuleProtocol.TCP, destination="10.20.30.0/24", ports="1521,1526", log=True)]
group = client.v3.security_groups.create("erp-db", rules, running_spaces=ToManyRelationship(space["guid"]))
equal("rules come back as given", group["rules"][0]["ports"], "1521,1526")
client.v3.security_groups.update(group["guid"], globally_enabled=GloballyEnabled(staging=True))
equal("global sets are merged", client.v3.security_groups.get(group["guid"])["globally_enabled"], {"running": False, "staging": True})
beta = client.v3.spaces.create("beta-space", orgs["beta"])
bound = client.v3.security_groups.bind_running_security_group_to_spaces(group["guid"], ToManyRelationship(beta["guid"]))
equal("a binding answers with all", set(bound.guids), {space["guid"], beta["guid"]})
client.v3.security_groups.unbind_running_security_group_from_space(group["guid"], ToOneRelationship(beta["guid"]))
truth = status()["security_groups"][0]
equal("the world agrees", (truth["running_spaces"], truth["staging_default"]), ([space["guid"]], True))
refused("an unknown parameter is 422 here", 422, lambda: client.v3.security_groups.list(colour="red"))
refused("ports are no mix", 422, lambda: client.v3.security_groups.create("bad", [Rule(RuleProtocol.TCP, "10.0.0.1", "80,443-445")]))
equal("v2 sees the group", [row["entity"]["name"] for row in client.v2.security_groups.list()], ["erp-db"])

# Policies, by the path that the router sends to the policy server.
try:
    client.networking_v1_external.policies.create([Policy(guid, other["guid"], "tcp", 8080, 8090)])
except InvalidEntity:
    pass  # The server answers {}, which this client takes for a policy.
equal("a policy is listed", [row["destination"]["ports"] for row in client.networking_v1_external.policies.list()], [{"start": 8080, "end": 8090}])
equal("the world has it", status()["policies"], [{"source": guid, "destination": other["guid"], "protocol": "tcp", "start": 8080, "end": 8090}])

# Expiry: the client renews by its refresh token and goes on.
run = lambda *words: subprocess.run([cli, "--control", endpoints["control"], *words], check=True, capture_output=True, text=True).stdout
equal("the command line answers", run("revoke-tokens").strip(), "OK")
equal("an invalid token is renewed", client.v3.organizations.list().total_results, 3)

# The end.
client.v2.apps.remove(guid)
client.v3.apps.remove(other["guid"], asynchronous=False)
equal("deleted: nothing is left", (status()["apps"], status()["containers"], status()["desired"]), ([], [], 0))
refused("a deleted app is gone", 404, lambda: client.v3.apps.get(guid))
client.v3.security_groups.remove(group["guid"], asynchronous=False)
equal("no security groups are left", client.v3.security_groups.list().total_results, 0)
check("the status is readable", "0 containers" in run("status"))

print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
