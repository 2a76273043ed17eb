"""`policy explain`: which clause of a rule lets somebody do something, or keeps them from it."""

from __future__ import annotations

import sys
import typing as t

import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from .. import identity
from ..kernel.auth.context import Context
from ..kernel.auth.explain import Step, explain, source
from ..kernel.auth.policy import Policy, PolicyError
from ..kernel.config import Config
from ..kernel.db import Tx
from ..kernel.errors import ApiError
from ..kernel.http import Request
from ..kernel.http.api import Api, Operation
from ..kernel.runtime import Runtime
from ..run.control import build
from ..run.layout import Layout
from . import Failure
from .database import existing, used

UNBROKEN = 1000
"""Columns of what is written to a file or another program: there, a line is not broken."""
FORBIDDEN = 3


def explained(config: Config, user: str, user_domain: str, rule: str, target: tuple[str, ...], scope: dict[str, t.Any]) -> int:
    """Print what a rule comes to for a user's token; 0 where it passes, FORBIDDEN where it does not."""
    config = used(config)
    existing(sa.make_url(config.database_url))
    try:
        runtime = build(config, Layout(config.root))
    except PolicyError as error:
        raise Failure(f"policy.yaml: {error}") from None
    try:
        with runtime.db.begin(write=False) as tx:
            context = identity.asking(tx, user, user_domain, identity.Scope(**scope))
            about = _target(tx, runtime, context, rule, target)
        policy = runtime.policies.get(rule, Policy([]))
        step = explain(policy, rule, context, about)
    except (LookupError, ApiError) as error:
        raise Failure(str(error.args[0])) from None
    finally:
        runtime.db.close()
    _print(policy, context, rule, about, step)
    return 0 if step.passes else FORBIDDEN


# -- target --------------------------------------------------------------------------------------------------------


def _target(tx: Tx, runtime: Runtime, context: Context, rule: str, given: tuple[str, ...]) -> dict:
    """What the rule is checked against: what an operation of this rule finds of the things that are named as in its path,
    or what was given, as it stands. Nothing given is the caller's own."""
    of_rule = [(api, op) for api in runtime.apis.values() for op in api.operations if op.policy == rule and op.target]
    values = _values(given, of_rule)
    for api, op in of_rule:
        names = api.parameters(op)
        if names <= values.keys() and (names or not given):
            found = op.target and op.target(tx, _request(runtime, api, op, context), **{name: values[name] for name in names})
            return (found or {}) | {name: value for name, value in values.items() if name not in names}
    return values if given else context.own_target()


def _values(given: tuple[str, ...], of_rule: list[tuple[Api, Operation]]) -> dict[str, str]:
    """NAME=VALUE as pairs. An id alone goes with the one name that a path of the rule's operations has."""
    values = {}
    for text in given:
        name, is_pair, value = text.partition("=")
        if not is_pair:
            single = sorted(names.pop() for api, op in of_rule if len(names := api.parameters(op)) == 1)
            if not single:
                raise Failure(f"{text}: a target is told as NAME=VALUE here, as in project_id={text}.")
            name, value = single[0], text
        values[name] = value
    return values


def _request(runtime: Runtime, api: Api, op: Operation, context: Context) -> Request:
    request = Request(runtime=runtime, api=api, method=op.method, path=op.path, root="", query=[], headers={}, id="", stream=_nothing)
    request.context = context
    return request


async def _nothing() -> t.AsyncIterator[bytes]:
    yield b""


# -- print ---------------------------------------------------------------------------------------------------------


def _print(policy: Policy, context: Context, rule: str, target: dict, step: Step) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNBROKEN)
    place = {"project": context.project_name, "domain": context.domain_id, "system": "all"}[context.scope]
    scope = f"the {context.scope} {place}" if place else "no scope"
    verdict = _coloured("allowed" if step.passes else "forbidden", step.passes)
    console.print(f"{rule} is {verdict} to {escape(context.user_name or '')}.")
    console.print(f"  caller  {context.user_id}, token for {scope}, roles: {', '.join(sorted(context.roles)) or 'none'}")
    console.print(f"  target  {escape(', '.join(f'{name}={value}' for name, value in target.items()) or 'nothing')}")
    console.print(f"  rule    {escape(policy.text[rule] or '@')} ({source(policy, rule)})")
    console.print("What decides is marked with <-.")
    tree = Tree(_line(step))
    _grow(tree, step)
    console.print(tree)


def _grow(tree: Tree, step: Step) -> None:
    for part in step.parts:
        _grow(tree.add(_line(part)), part)


def _line(step: Step) -> str:
    why = f"  [dim]({escape(step.why)})[/]" if step.why else ""
    return f"{_coloured('✓' if step.passes else '✗', step.passes)} {escape(step.clause)}{why}{' <-' if step.decides else ''}"


def _coloured(text: str, good: bool) -> str:
    return f"[{'green' if good else 'red'}]{text}[/]"
