"""What is there before a scene of image begins: identity's stage, and who is somebody in another project, or nobody in the first."""

from __future__ import annotations

import functools
import typing as t
import uuid

from parity.identity.stage import PASSWORD, PROJECT, Builder, people
from parity.play import Send, Stage

OTHER = ["other-admin", "other-member", "other-reader"]
GROUPS = {
    "roles": [*PROJECT, "project-none"],
    "others": OTHER,
    "wide": ["domain-admin", "domain-member", "system-admin", "system-reader", "unscoped"],
    "strangers": ["nobody", "forged"],
    "all": [
        *PROJECT,
        "project-none",
        *OTHER,
        "domain-admin",
        "domain-member",
        "system-admin",
        "system-reader",
        "unscoped",
        "nobody",
        "forged",
    ],
}
"""What stands for several actors. `none` has a role that no rule names, `other` is the project `$other_project`."""


def build(send: Send, base: str, password: str) -> Stage:
    """Make the stage, as the user `admin` with this password; the service is where identity's catalog says."""
    admin = Builder(send, password)
    stage = people(admin, _address(admin))
    names = stage.names
    first = str(uuid.uuid4())[:-2]
    names["identity"] = base
    names |= {f"uuid{i}": f"{first}{i:02x}" for i in range(1, 60)} | _texts(names["run"])
    role = admin.make("role", name=f"parity-{names['run']}")
    for actor, where, role_id in _more(names, role):
        user = admin.make("user", name=actor, domain_id=names["domain"], password=PASSWORD)
        admin("PUT", f"/projects/{where}/users/{user}/roles/{role_id}")
        stage.tokens[actor] = admin.login({"id": user, "password": PASSWORD}, {"project": {"id": where}})

    def close() -> None:
        stage.sweep()
        admin("DELETE", f"/roles/{role}")
        opened()

    opened, stage.close, stage.sweep = stage.close, close, functools.partial(_sweep, send, stage)
    return stage


def _texts(run: str) -> dict[str, t.Any]:
    more = {f"x{length}": "x" * length for length in (80, 81, 500, 501, 65535, 65536)}
    return {
        "no_uuid": str(uuid.uuid4()),
        "upper_uuid": str(uuid.uuid4()).upper(),
        "ns": f"parity-a-{run}",
        "ns2": f"parity-b-{run}",
        "type": "parity-type",
    } | more


def _address(admin: Builder) -> str:
    catalog = admin("GET", "/auth/catalog")["catalog"]
    return next(e["url"] for entry in catalog if entry["type"] == "image" for e in entry["endpoints"] if e["interface"] == "public")


def _more(names: dict[str, t.Any], role: str) -> list[tuple[str, str, str]]:
    """Actor, project, role."""
    others = [(actor, names["other_project"], names[f"role_{actor.partition('-')[2]}"]) for actor in OTHER]
    return [("project-none", names["project"], role), *others]


def _sweep(send: Send, stage: Stage) -> None:
    """Take away the images and namespaces of the stage's projects."""
    headers = {"X-Auth-Token": str(stage.tokens["admin"])}

    def ask(method: str, path: str, **options: t.Any) -> t.Any:
        return send(method, stage.base + path, headers=headers | options.pop("more", {}), **options)

    patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    for query in (
        f"?owner={stage.names[name]}&os_hidden={hidden}" for name in ("project", "other_project") for hidden in ("true", "false")
    ):
        for image in ask("GET", f"/v2/images{query}&visibility=all&limit=1000").json()["images"]:
            if image["protected"]:
                ask("PATCH", f"/v2/images/{image['id']}", json=[{"op": "replace", "path": "/protected", "value": False}], more=patch)
            ask("DELETE", f"/v2/images/{image['id']}")
    for one in ask("GET", "/v2/metadefs/namespaces?limit=1000").json()["namespaces"]:
        if stage.names["run"] in one["namespace"]:
            name = one["namespace"]
            ask("PUT", f"/v2/metadefs/namespaces/{name}", json={"namespace": name, "protected": False})
            ask("DELETE", f"/v2/metadefs/namespaces/{name}")
