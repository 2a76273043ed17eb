"""What tests of the network API say often."""

from __future__ import annotations

import typing as t

import httpx2

from cumulet.kernel.testing.cloud import Caller

BASE = "/network/v2.0"


def make(caller: Caller, kind: str, **values: t.Any) -> dict:
    """Create a resource and return it; kind is its singular (`security_group`)."""
    answer = caller.post(f"/{kind.replace('_', '-')}s", {kind: values})
    assert answer.status_code == 201, answer.text
    return answer.json()[kind]


def fault(answer: httpx2.Response, status: int, kind: str) -> str:
    """The message of an error that has this status and kind."""
    assert answer.status_code == status, answer.text
    error = answer.json()["NeutronError"]
    assert error["type"] == kind, error
    return error["message"]


def plug(caller: Caller, router: dict, **what: t.Any) -> httpx2.Response:
    """Add an interface to a router, by `subnet_id` or `port_id`."""
    return caller.put(f"/routers/{router['id']}/add_router_interface", what)


def unplug(caller: Caller, router: dict, **what: t.Any) -> httpx2.Response:
    """Remove an interface from a router."""
    return caller.put(f"/routers/{router['id']}/remove_router_interface", what)


def update(caller: Caller, router: dict, **values: t.Any) -> httpx2.Response:
    """Change a router."""
    return caller.put(f"/routers/{router['id']}", {"router": values})


def pass_on(caller: Caller, floating: dict, **values: t.Any) -> httpx2.Response:
    """Change what a floating IP is passed on to."""
    return caller.put(f"/floatingips/{floating['id']}", {"floatingip": values})
