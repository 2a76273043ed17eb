"""Finding the operations of a path: a tree of path segments, fixed ones before named ones."""

from __future__ import annotations

import dataclasses as dc
import typing as t
from urllib.parse import unquote

from .api import Api, Operation


@dc.dataclass
class Node:
    fixed: dict[str, Node] = dc.field(default_factory=dict)
    named: dict[str, Node] = dc.field(default_factory=dict)
    rest: tuple[str, Node] | None = None
    methods: dict[str, list[Operation]] = dc.field(default_factory=dict)


class Match(t.NamedTuple):
    methods: dict[str, list[Operation]]
    params: dict[str, str]


class Routes:
    """The routes of one service."""

    def __init__(self, api: Api):
        self._root = Node()
        self._empty_names, self._ending_slash = api.dialect.empty_names, api.dialect.ending_slash
        for operation in api.operations:
            for path in api.paths(operation):
                self._add(path.removeprefix(api.prefix), operation)

    def find(self, path: str, method: str) -> Match | None:
        """The operations at a path below the service's prefix, and the named segments' values, unquoted. Of several
        spellings of a path (`/{id}`, `/{name}`) the first one with the method is meant; where none has it, `methods`
        are those of all. Nothing is named with a NUL character, which no database keeps."""
        segments = [unquote(s) for s in path.split("/") if s]
        if any("\0" in s for s in segments) or (path.endswith("/") and len(segments) > 1 and not self._ending_slash):
            return None
        matches = []
        spellings = [[*segments, ""], segments] if self._empty_names and path.endswith("/") and segments else [segments]
        for match in (match for spelling in spellings for match in _walk(self._root, spelling, 0, {})):
            if method in match.methods or (method == "HEAD" and "GET" in match.methods):
                return match
            matches.append(match)
        return Match({m: ops for match in reversed(matches) for m, ops in match.methods.items()}, matches[0].params) if matches else None

    def _add(self, path: str, operation: Operation) -> None:
        node = self._root
        for segment in (s for s in path.split("/") if s):
            if segment.startswith("{") and segment.endswith(":path}"):
                name = segment[1:-6]
                node.rest = node.rest or (name, Node())
                node = node.rest[1]
            elif segment.startswith("{"):
                node = node.named.setdefault(segment[1:-1], Node())
            else:
                node = node.fixed.setdefault(segment, Node())
        node.methods.setdefault(operation.method, []).append(operation)


def _walk(node: Node, segments: list[str], at: int, params: dict[str, str]) -> t.Iterator[Match]:
    if at == len(segments):
        if node.methods:
            yield Match(node.methods, params)
        return
    segment = segments[at]
    if fixed := node.fixed.get(segment):
        yield from _walk(fixed, segments, at + 1, params)
    for name, named in node.named.items():
        yield from _walk(named, segments, at + 1, {**params, name: segment})
    if node.rest:
        yield Match(node.rest[1].methods, {**params, node.rest[0]: "/".join(segments[at:])})
