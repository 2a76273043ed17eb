"""The documents and golden files that are made from the declarations: write them all again.

Usage: python tests/goldens.py
"""

from __future__ import annotations

import csv
import json
import re
import typing as t
from pathlib import Path

import matrix_identity
import matrix_image
from cumulet.kernel import config, services
from cumulet.kernel.auth.context import SCOPES, Context
from cumulet.kernel.auth.policy import Policy
from cumulet.kernel.http.api import Api, Operation
from cumulet.kernel.http.openapi import document
from cumulet.run.control import SERVICES
from matrix import matrix

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
OBSERVED = GOLDEN / "policy"
WORLDS = {"identity": matrix_identity.fill, "image": matrix_image.fill}
"""What the policy matrix of a service asks about."""
MADE_BY = "This file is made by `make goldens` from the declarations in the source: do not edit it.\n"
ROLES = ("admin", "manager", "member", "reader", "nobody")
DONE, GONE, MISSING = "✓", "410", "–"
IMPLIED = {"admin": {"manager", "member", "reader"}, "manager": {"member", "reader"}, "member": {"reader"}}


def made() -> dict[Path, str]:
    """Every file that is made, with its text."""
    apis = services.load(*SERVICES)
    files = {
        ROOT / "docs" / "coverage.md": coverage(apis),
        ROOT / "docs" / "configuration.md": f"# Settings\n\n{MADE_BY}\n{config.reference()}",
        ROOT / "docs" / "policy.md": policy_rules(apis),
        GOLDEN / "policy-matrix.txt": policy_matrix(apis),
    }
    for name, api in apis.items():
        files[GOLDEN / "openapi" / f"{name}.json"] = json.dumps(document([api]), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return files


def main() -> None:
    files = made()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in kept() - files.keys():
        path.unlink()
    OBSERVED.mkdir(exist_ok=True)
    for service, fill in WORLDS.items():
        (OBSERVED / f"{service}.txt").write_text(matrix(service, fill))


def kept() -> set[Path]:
    """The golden files that are there, save those of which each service's world is asked."""
    return {path for path in GOLDEN.rglob("*") if path.is_file() and path.parent != OBSERVED}


def declared(apis: dict[str, Api]) -> list[tuple[Api, Operation]]:
    """Every operation, in an order that changes in the source do not change."""
    pairs = [(api, op) for api in apis.values() for op in api.operations]
    return sorted(pairs, key=lambda pair: (pair[0].service, pair[1].path, pair[1].method, pair[1].action or "", pair[1].first))


# -- coverage ------------------------------------------------------------------------------------------------------


class Documented(t.NamedTuple):
    """An operation in the reference of the service that this one stands for."""

    method: str
    path: str
    title: str
    action: str

    @property
    def form(self) -> tuple[str, str, str]:
        return self.method, _form(self.path), self.action


def coverage(apis: dict[str, Api]) -> str:
    """Which of the documented operations there are."""
    total, parts = ["| service | done | of these, 410 | of all |", "| --- | ---: | ---: | ---: |"], []
    for path in sorted((ROOT / "tests" / "api-ref").glob("*.tsv")):
        listed = documented(path)
        here = _answered(apis.get(path.stem))
        marks = [_mark(here, one) for one in listed]
        done, gone = len(listed) - marks.count(MISSING), marks.count(GONE)
        total.append(f"| {path.stem} | {done} | {gone} | {len(listed)} |")
        rows = "\n".join(f"| {mark} | {one.method} | `{one.path}` | {one.title} |" for mark, one in zip(marks, listed, strict=True))
        parts.append(f"## {path.stem}\n\n{done} of {len(listed)}.\n\n|  | method | path | operation |\n| --- | --- | --- | --- |\n{rows}\n")
    told = (
        f"{DONE}: there is an operation of this method, path and action; HEAD is answered wherever GET is. "
        f"{GONE}: it answers that it is gone, as the real service does.\n"
    )
    return f"# Coverage\n\n{MADE_BY}\n{told}\n" + "\n".join(total) + "\n\n" + "\n".join(parts)


def documented(path: Path) -> list[Documented]:
    with path.open() as file:
        return [Documented(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def _answered(api: Api | None) -> dict[tuple[str, str, str], Operation]:
    """Operations by method, path as the reference writes it (with the service and the version or without) and action."""
    found: dict[tuple[str, str, str], Operation] = {}
    for op in api.operations if api else ():
        for path in {op.path, *api.paths(op), *(p.removeprefix(api.prefix) for p in api.paths(op))} if api else ():
            found[op.method, _form(path), op.action or ""] = op
    return found


def _mark(here: dict[tuple[str, str, str], Operation], one: Documented) -> str:
    method, path, action = one.form
    op = here.get(one.form) or (here.get(("GET", path, action)) if method == "HEAD" else None)
    return MISSING if op is None else GONE if 410 in op.errors and op.policy is None else DONE


def _form(path: str) -> str:
    """A path in which the names of parameters, a query and slashes at the ends make no difference."""
    return re.sub(r"\{[^}]*\}|<[^>]*>", "{}", path.partition("?")[0]).strip("/")


# -- policy --------------------------------------------------------------------------------------------------------


def policy_rules(apis: dict[str, Api]) -> str:
    told = (
        "An operator overrides any of them in `policy.yaml` in the data directory. What kinds of token a rule is for stays: one of\n"
        "another kind is refused, whatever roles it has. A token without a scope counts as a project's.\n"
    )
    parts = [f"# Policy rules\n\n{MADE_BY}\n{told}"]
    for name, api in sorted(apis.items()):
        if api.rules:
            rows = "\n".join(
                f"| `{rule.name}` | `{rule.check or '@'}` | {'all' if rule.scopes == SCOPES else ', '.join(rule.scopes)} | {rule.description} |"
                for rule in sorted(api.rules.values())
            )
            parts.append(f"## {name}\n\n| rule | default | tokens | what it is for |\n| --- | --- | --- | --- |\n{rows}\n")
    return "\n".join(parts)


def policy_matrix(apis: dict[str, Api]) -> str:
    """For each operation, the roles that its rule lets pass, by where the token's scope lies."""
    policies = {api.service: Policy(api.rules.values()) for api in apis.values()}
    attributes = {name for policy in policies.values() for check in policy.text.values() for name in re.findall(r"%\(([^)]*)\)s", check)}
    lines = [
        "# Who may call what, by the default policy. Letters are the roles that pass: a admin, g manager, m member, r reader, n none of these.",
        "# own: a token of the project that the thing is in; other: of another project; domain: of its domain; system.",
        "# Without a token, only what is for anyone is answered.",
        "# Where an operation checks the caller's own things only, which things those are is up to its code, and own and other are alike.",
    ]
    for api, op in declared(apis):
        name = " ".join(filter(None, (api.service, op.method, op.path or "/", op.action, _versions(op))))
        lines.append(f"{name:<88} {_row(policies[api.service], op, attributes) if op.policy else 'anyone'}")
    return "\n".join(lines) + "\n"


def _versions(op: Operation) -> str:
    return f"({op.name.rpartition('.')[2]})" if op.first != (0, 0) or op.last != (999, 999) else ""


def _row(policy: Policy, op: Operation, attributes: set[str]) -> str:
    cells = []
    for scope in ("own", "other", "domain", "system"):
        passed = "".join(role[0] if role != "manager" else "g" for role in ROLES if _passes(policy, op, _caller(role, scope), attributes))
        cells.append(f"{scope} {passed or '-':<5}")
    return "  ".join(cells) + f"  {op.policy}"


def _caller(role: str, scope: str) -> Context:
    project = {"own": "mine", "other": "another"}.get(scope)
    user = "owner" if scope == "own" else "somebody"
    return Context(
        user_id=user, user_domain_id="domain", project_id=project, project_domain_id="domain" if project else None,
        domain_id="domain" if scope == "domain" else None, system=scope == "system", roles=frozenset({role} | IMPLIED.get(role, set())),
        is_admin=role == "admin",
    )  # fmt: skip


def _passes(policy: Policy, op: Operation, caller: Context, attributes: set[str]) -> bool:
    target = {name: _owned(name) for name in attributes} if op.target else caller.own_target()
    return policy.allows(op.policy or "", caller, target)


def _owned(attribute: str) -> str:
    """What a rule finds in a thing of the project `mine`, the user `owner` and the domain `domain`."""
    return "domain" if "domain" in attribute else "owner" if "user" in attribute else "mine"


if __name__ == "__main__":
    main()
