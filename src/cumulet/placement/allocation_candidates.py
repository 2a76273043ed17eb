"""Allocation candidates: which providers could give what is asked, in the form that allocations are written in."""

from __future__ import annotations

import re
import typing as t

from ..kernel.db import Tx
from ..kernel.errors import BadRequest
from ..kernel.http import Reply, Request
from . import ADMIN_OR_SERVICE, api, candidates
from .candidates import Ask, Candidate, Group
from .claims import providers
from .model import Provider
from .wire import BAD_VALUE, dated, in_tree, member_of, only_known, resources, traits, unknown_classes, unknown_traits, values

# -- policy --------------------------------------------------------------------------------------------------------

LIST = api.rule("placement:allocation_candidates:list", ADMIN_OR_SERVICE, "List allocation candidates.")

# -- operations ----------------------------------------------------------------------------------------------------


@api.op("GET", "/allocation_candidates", policy=LIST, first="1.10", errors=(400,))
def index(tx: Tx, request: Request) -> Reply:
    """List the ways in which what is asked could be allocated, and the providers in them."""
    ask = _ask(request)
    _check_names(tx, ask)
    known = providers(tx)
    found = candidates.find(ask, known)
    requests = [_as_mapping(request, one) if request.version >= (1, 12) else _as_list(one) for one in found]
    return dated(request, {"allocation_requests": requests, "provider_summaries": _summaries(request, ask, found, known)})


# -- reading the question ------------------------------------------------------------------------------------------

_GROUPED = {"resources": (1, 10), "required": (1, 17), "member_of": (1, 21), "in_tree": (1, 31)}
_WIDE = {"limit": (1, 16), "group_policy": (1, 25), "root_required": (1, 35), "same_subtree": (1, 36)}


def _ask(request: Request) -> Ask:
    at = request.version
    groups = _groups(request)
    ask = Ask(groups, nested=at >= (1, 29), same_subtree=_same_subtree(request))
    if limit := _last(request, "limit"):
        if not re.fullmatch(r"[1-9]\d{0,8}", limit):
            raise BadRequest(f"Invalid query string parameters: limit: {limit!r} does not match '^[1-9][0-9]*$'")
        ask.limit = int(limit)
    policy = _last(request, "group_policy")
    if policy not in (None, "none", "isolate"):
        raise BadRequest(f"Invalid query string parameters: group_policy: {policy!r} is not one of ['none', 'isolate']")
    if policy is None and sum(1 for suffix in groups if suffix) > 1:
        raise BadRequest('The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.')
    ask.isolate = policy == "isolate"
    ask.root_required, ask.root_forbidden = _root(request)
    _check_groups(request, ask)
    return ask


def _groups(request: Request) -> dict[str, Group]:
    at = request.version
    suffix = "" if at < (1, 25) else "[1-9][0-9]*" if at < (1, 33) else "[a-zA-Z0-9_-]{1,64}"
    prefixes = "|".join(name for name, first in _GROUPED.items() if at >= first)
    wide = {name for name, first in _WIDE.items() if at >= first}
    form = re.compile(f"({prefixes})({suffix})?")
    named = {name: match for name, _ in request.query if name not in wide and (match := form.fullmatch(name))}
    only_known(request, wide | named.keys())
    return {key: _group(request, key) for key in dict.fromkeys(match[2] or "" for match in named.values())}


def _group(request: Request, suffix: str) -> Group:
    asked = _last(request, f"resources{suffix}")
    required, forbidden = traits(request, f"required{suffix}")
    groups, outside = member_of(request, f"member_of{suffix}")
    wanted = resources(asked) if asked is not None else {}
    return Group(wanted, required, forbidden, groups, outside, in_tree(request, f"in_tree{suffix}"))


def _last(request: Request, name: str) -> str | None:
    return asked[-1] if (asked := values(request, name)) else None


def _root(request: Request) -> tuple[frozenset[str], frozenset[str]]:
    asked = values(request, "root_required")
    if len(asked) > 1:
        raise BadRequest("Query parameter 'root_required' may be specified only once.", kind="placement.query.duplicate_key")
    words = [word.strip() for word in asked[0].split(",")] if asked else []
    if not all(word.lstrip("!") for word in words) or any(word.startswith("in:") for word in words):
        form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
        raise BadRequest(f"Invalid query string parameters: Expected 'root_required' of the form {form}. Got: {asked[0]}")
    forbidden = frozenset(word.lstrip("!") for word in words if word.startswith("!"))
    required = frozenset(word for word in words if not word.startswith("!"))
    if both := required & forbidden:
        raise BadRequest(f"Conflicting required and forbidden traits found in root_required: {', '.join(sorted(both))}", kind=BAD_VALUE)
    return required, forbidden


def _same_subtree(request: Request) -> list[frozenset[str]]:
    found = [frozenset(word.strip() for word in text.split(",")) for text in values(request, "same_subtree")]
    if any("" in suffixes for suffixes in found):
        raise BadRequest("Empty string (unsuffixed group) can not be specified in `same_subtree`", kind=BAD_VALUE)
    return found


def _check_groups(request: Request, ask: Ask) -> None:
    """Every group must ask for resources; from 1.36 on those in `same_subtree` need not."""
    bare = [suffix for suffix, group in ask.groups.items() if not group.resources]
    if len(bare) == len(ask.groups):
        raise BadRequest("There must be at least one resources or resources[$S] parameter.", kind="placement.query.missing_value")
    placed = frozenset().union(*ask.same_subtree)
    if bad := [suffix for suffix in bare if suffix not in placed]:
        if request.version >= (1, 36):
            raise BadRequest("Resourceless suffixed group request should be specified in `same_subtree` query param: "
                             f"bad group(s) - {bad}.", kind=BAD_VALUE)  # fmt: skip
        raise BadRequest(f"All request groups must specify resources; these do not: {bad}.")
    if bad := sorted(placed - ask.groups.keys()):
        raise BadRequest(f"Real suffixes should be specified in `same_subtree`: {bad} not found in {list(ask.groups)}.", kind=BAD_VALUE)
    for suffix, group in ask.groups.items():
        if any(any_of <= group.forbidden for any_of in group.required):
            raise BadRequest(f"Conflicting required and forbidden traits found in the following traits keys: required{suffix}")


def _check_names(tx: Tx, ask: Ask) -> None:
    if unknown := unknown_classes(tx, {name for group in ask.groups.values() for name in group.resources}):
        raise BadRequest(f"Invalid resource class in resources parameter: No such resource class {', '.join(unknown)}.")
    named = {trait for group in ask.groups.values() for traits in (*group.required, group.forbidden) for trait in traits}
    if unknown := unknown_traits(tx, named | ask.root_required | ask.root_forbidden):
        raise BadRequest(f"No such trait(s): {', '.join(unknown)}.")


# -- wording the answer --------------------------------------------------------------------------------------------


def _as_mapping(request: Request, candidate: Candidate) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"allocations": {id: {"resources": of} for id, of in candidate.allocations.items()}}
    if request.version >= (1, 34):
        shown["mappings"] = candidate.mappings
    return shown


def _as_list(candidate: Candidate) -> dict[str, t.Any]:
    return {"allocations": [{"resource_provider": {"uuid": id}, "resources": of} for id, of in candidate.allocations.items()]}


def _summaries(request: Request, ask: Ask, found: list[Candidate], known: list[Provider]) -> dict[str, dict]:
    """The providers in the candidates and, from 1.29 on, all others of their trees."""
    used = {id for one in found for id in (*one.allocations, *(id for ids in one.mappings.values() for id in ids))}
    if request.version >= (1, 29):
        roots = {provider.root_id for provider in known if provider.id in used}
        used |= {provider.id for provider in known if provider.root_id in roots}
    wanted = {name for group in ask.groups.values() for name in group.resources}
    return {provider.id: _summary(request, provider, wanted) for provider in known if provider.id in used}


def _summary(request: Request, provider: Provider, wanted: set[str]) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"resources": {
        name: {"capacity": inventory.capacity, "used": provider.used.get(name, 0)}
        for name, inventory in provider.inventories.items() if request.version >= (1, 27) or name in wanted
    }}  # fmt: skip
    if request.version >= (1, 17):
        shown["traits"] = sorted(provider.traits)
    if request.version >= (1, 29):
        shown |= {"parent_provider_uuid": provider.parent_id, "root_provider_uuid": provider.root_id}
    return shown
