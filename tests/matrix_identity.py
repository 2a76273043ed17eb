"""What the matrix of identity asks about: one thing of each kind, of the domain `here`, the project `mine`, the user `owner`."""

from __future__ import annotations

import base64
import datetime as dt
import typing as t

from cumulet.identity import ec2_signatures
from cumulet.identity.ec2_signatures import Signed
from cumulet.identity.oauth_access_tokens import access_tokens
from cumulet.identity.oauth_request_tokens import request_tokens
from cumulet.kernel import clock
from cumulet.kernel.testing.cloud import Caller
from matrix import NOBODY, World


def fill(world: World) -> None:
    """Make the things."""
    world.things |= _things(world)
    _associate(world)
    world.bodies |= _bodies(world)
    world.more += MORE


MORE = [
    "GET /OS-TRUST/trusts?trustor_user_id={user_id}", "GET /OS-TRUST/trusts?trustee_user_id={user_id}",
    "GET /roles?domain_id={domain_id}", "POST /roles #domain",
    "GET /role_assignments?scope.project.id={project_id}&include_subtree=true",
    "GET /projects/{project_id}?parents_as_list=true", "GET /credentials?user_id={user_id}",
    "POST /users #elsewhere", "POST /groups #elsewhere", "POST /projects #elsewhere",
]  # fmt: skip


def _things(world: World) -> dict[str, str]:
    made = _Maker(world)
    owner, mine, here = world.owner_id, world.mine, world.here
    spare = world.user(world.admin, "spare", domain_id=here)["id"]
    bearer = world.login(owner, "pw", scope={"project": {"id": mine}})
    holder = world.role(world.admin, NOBODY)
    things = {
        "subject": str(bearer.token),  "domain_id": here, "project_id": mine, "user_id": owner, "tag": "blue", "option": "url",
        "group": "ldap", "/domains/{domain_id}/config/security_compliance domain_id": "default",
        "/domains/{domain_id}/config/security_compliance option": "password_regex",
        "DELETE /domains/{domain_id} domain_id": made("domain", name="spare", enabled=False),
        "DELETE /regions/{region_id} region_id": made("region", id="spare"), "DELETE /services/{service_id} service_id": made("service", type="spare", name="s"),
        "role_id": world.role(world.admin, "member"), "/roles role_id": made("role", name="mutable"),
        "prior_role_id": made("role", name="prior"), "implied_role_id": made("role", name="implied"),
        "group_id": made("group", name="g", domain_id=here), "region_id": made("region", id="region"),
        "service_id": made("service", type="compute", name="s"), "policy_id": made("policy", blob="{}", type="application/json"),
        "/credentials credential_id": made("credential", type="cert", blob="x", user_id=owner, project_id=mine),
        "consumer_id": made("consumer", under="/OS-OAUTH1/consumers"), "idp_id": "idp", "protocol_id": "mapped", "mapping_id": "map",
        "service_provider_id": "sp",
    }  # fmt: skip
    things["endpoint_id"] = made("endpoint", service_id=things["service_id"], interface="public", url="http://x", region_id="region")
    filters = {"service_id": things["service_id"]}
    things["endpoint_group_id"] = made("endpoint_group", under="/OS-EP-FILTER/endpoint_groups", name="e", filters=filters)
    trust = {"trustor_user_id": owner, "trustee_user_id": spare, "project_id": mine, "impersonation": False, "roles": [{"id": holder}]}
    things["trust_id"] = made("trust", by=bearer, under="/OS-TRUST/trusts", **trust)
    things["/OS-TRUST role_id"] = holder
    rule = {"path": "/v3", "method": "GET", "service": "identity"}
    credential = _credential(world, bearer, {"name": "c", "access_rules": [rule]})
    things |= {"application_credential_id": credential["id"], "access_rule_id": credential["access_rules"][0]["id"]}
    spare = _credential(world, bearer, {"name": "spare", "access_rules": [rule | {"path": "/v2"}]})
    assert bearer.delete(f"/users/{owner}/application_credentials/{spare['id']}").status_code == 204
    things["DELETE /users/{user_id}/access_rules/{access_rule_id} access_rule_id"] = spare["access_rules"][0]["id"]
    keys = world.admin.post(f"/users/{owner}/credentials/OS-EC2", {"tenant_id": mine}).json()["credential"]
    return things | {"credential_id": keys["access"]} | _limits(world, things) | _oauth(world, things, holder)


def _credential(world: World, by: Caller, body: dict) -> dict:
    made = by.post(f"/users/{world.owner_id}/application_credentials", {"application_credential": body})
    assert made.status_code == 201, made.text
    return made.json()["application_credential"]


def _limits(world: World, things: dict[str, str]) -> dict[str, str]:
    """One that is registered and in use, and one that is not in use."""
    both = [{"service_id": things["service_id"], "resource_name": name, "default_limit": 1} for name in ("used", "free")]
    _, free = (row["id"] for row in world.admin.post("/registered_limits", {"registered_limits": both}).json()["registered_limits"])
    limit = {"service_id": things["service_id"], "resource_name": "used", "resource_limit": 2, "project_id": world.mine}
    return {"registered_limit_id": free, "limit_id": world.admin.post("/limits", {"limits": [limit]}).json()["limits"][0]["id"]}


def _oauth(world: World, things: dict[str, str], role: str) -> dict[str, str]:
    common = {"consumer_id": things["consumer_id"], "project_id": world.mine, "secret": "s", "role_ids": [role],
              "expires_at": clock.now() + dt.timedelta(days=1)}  # fmt: skip
    asked = world.transact(lambda tx: tx.insert(request_tokens, **common).id)
    got = world.transact(lambda tx: tx.insert(access_tokens, authorizing_user_id=world.owner_id, **common).id)
    return {"request_token_id": asked, "access_token_id": got, "/users/{user_id}/OS-OAUTH1 role_id": role}


def _associate(world: World) -> None:
    """What is between things, so that asking for it finds it."""
    it = world.things
    member, group, domain, project = it["role_id"], it["group_id"], world.here, world.mine
    ep_filter, policy = f"/OS-EP-FILTER/projects/{project}", f"/policies/{it['policy_id']}/OS-ENDPOINT-POLICY"
    who = [f"users/{world.owner_id}", f"groups/{group}"]
    empty: list[tuple[str, t.Any]] = [
        (f"/groups/{group}/users/{world.owner_id}", None), (f"/projects/{project}/tags/blue", None),
        (f"/roles/{it['prior_role_id']}/implies/{it['implied_role_id']}", None), (f"{ep_filter}/endpoints/{it['endpoint_id']}", None),
        (f"/OS-EP-FILTER/endpoint_groups/{it['endpoint_group_id']}/projects/{project}", None),
        (f"{policy}/endpoints/{it['endpoint_id']}", None), (f"{policy}/services/{it['service_id']}", None),
        (f"{policy}/services/{it['service_id']}/regions/region", None),
        (f"/domains/{domain}/config", {"config": {"ldap": {"url": "ldap://x"}, "identity": {"list_limit": 7}}}),
        ("/OS-FEDERATION/mappings/map", {"mapping": {"rules": [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "X"}]}]}}),
        ("/OS-FEDERATION/identity_providers/idp", {"identity_provider": {"domain_id": domain}}),
        ("/OS-FEDERATION/identity_providers/idp/protocols/mapped", {"protocol": {"mapping_id": "map"}}),
        ("/OS-FEDERATION/service_providers/sp", {"service_provider": {"auth_url": "http://x", "sp_url": "http://x"}}),
        *((f"/system/{one}/roles/{member}", None) for one in who),
        *((f"/{kind}/{one}/roles/{member}", None) for kind in (f"domains/{domain}", f"projects/{project}") for one in who),
        *((f"/OS-INHERIT/{kind}/{one}/roles/{member}/inherited_to_projects", None)
          for kind in (f"domains/{domain}", f"projects/{project}") for one in who),
    ]  # fmt: skip
    for path, body in empty:
        answer = world.admin.put(path, body)
        assert answer.status_code in (200, 201, 204), (path, answer.text)


def _bodies(world: World) -> dict[str, t.Any]:
    """Bodies of requests whose domain, project or user decides; to the others, an empty one is enough to see that they got
    past policy."""
    here, there, owner, mine = world.here, world.there, world.owner_id, world.mine
    holder = world.role(world.admin, NOBODY)
    trust = {"trustor_user_id": owner, "trustee_user_id": world.officer_id, "project_id": mine, "impersonation": False}
    return {
        "POST /users": {"user": {"name": "x", "domain_id": here}},
        "POST /users #elsewhere": {"user": {"name": "x", "domain_id": there}},
        "POST /groups": {"group": {"name": "x", "domain_id": here}},
        "POST /groups #elsewhere": {"group": {"name": "x", "domain_id": there}},
        "POST /projects": {"project": {"name": "x", "domain_id": here}},
        "POST /projects #elsewhere": {"project": {"name": "x", "domain_id": there}},
        "POST /roles #domain": {"role": {"name": "x", "domain_id": here}},
        "POST /credentials": {"credential": {"type": "cert", "blob": "x", "user_id": owner, "project_id": mine}},
        "PATCH /credentials/{credential_id}": {"credential": {"blob": "y"}},
        "POST /users/{user_id}/credentials/OS-EC2": {"tenant_id": mine},
        **_signed(world.admin.post(f"/users/{owner}/credentials/OS-EC2", {"tenant_id": mine}).json()["credential"]),
        "POST /users/{user_id}/application_credentials": {"application_credential": {"name": "x"}},
        "POST /OS-TRUST/trusts": {"trust": trust | {"roles": [{"id": holder}]}},
        "PUT /OS-OAUTH1/authorize/{request_token_id}": {"roles": [{"id": holder}]},
    }


def _signed(keys: dict[str, str]) -> dict[str, dict]:
    """What services show of requests that are rightly signed with a pair of keys."""
    params = {"SignatureVersion": "2", "Timestamp": clock.iso(clock.now()) or ""}
    said = {"access": keys["access"], "verb": "GET", "host": "ec2", "path": "/", "params": params}
    ec2 = ec2_signatures.ec2(Signed("GET", "ec2", "/", params, {}, ""), keys["secret"])[0]
    text = b"GET\n\n\nWed\n/bucket"
    s3 = {"access": keys["access"], "signature": ec2_signatures.s3(text, keys["secret"]), "token": base64.b64encode(text).decode()}
    return {"POST /ec2tokens": {"credentials": said | {"signature": ec2}}, "POST /s3tokens": {"credentials": s3}}


class _Maker(t.NamedTuple):
    """Makes a thing by the API; its id."""

    world: World

    def __call__(self, noun: str, *, under: str | None = None, by: t.Any = None, **body: t.Any) -> str:
        answer = (by or self.world.admin).post(under or f"/{noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}", {noun: body})
        assert answer.status_code == 201, answer.text
        return answer.json()[noun]["id"]
