"""Answers without what differs from one run to the next: ids, times, tokens, secrets and addresses become placeholders."""

from __future__ import annotations

import json
import re
import typing as t

import httpx2

HEADERS = ("allow", "content-md5", "content-range", "content-type", "location", "openstack-auth-receipt", "openstack-image-import-methods",
           "openstack-image-store-ids", "vary", "www-authenticate", "x-subject-token")  # fmt: skip
"""The headers that a client of an API acts on."""
SECRET = {"secret", "audit_ids", "oauth_verifier"}
LITERAL = {"default", "file"}
"""Ids that are the same on every cloud."""
NAMING = ("id", "namespace")
"""What a list's items are known by."""
VERSION = {"id", "links", "status"}
"""What a version document says at least."""
SHORT = 6
"""A name that stands for fewer characters is not looked for in answers: it would be found where it is not meant."""

PATTERNS = [
    (re.compile(r"gAAAAA[\w-]{40,}=*(%3D)*"), "<token>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<long id>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
]
DUMP = re.compile(r"\n\nFailed validating .*?\n\nOn instance(.*?):\n.*?(?=<br />)", re.DOTALL)
"""How a validator shows the schema and all that was sent, for the sake of where in it something is wrong."""
TIME = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d(?::|%3A)\d\d(?::|%3A)\d\d(\.\d+)?(Z|\+\d\d:\d\d)?")
UNKNOWN = re.compile(r"<(uuid|long id|id)>")


class Normal:
    """base: the address that links begin with. names: what is known of this run, by name; a dict that may still grow. ordered:
    whether the order of lists is a part of the answer."""

    def __init__(self, base: str, names: dict[str, t.Any], ordered: bool = False):
        self.base, self.names, self.ordered = base, names, ordered

    def answer(self, answer: httpx2.Response) -> dict[str, t.Any]:
        """Status, headers, and body, where there is one."""
        headers = {name: self._header(name, answer.headers[name]) for name in HEADERS if name in answer.headers}
        return {"status": answer.status_code, "headers": headers} | ({"body": self._body(answer)} if answer.content else {})

    def _header(self, name: str, value: str) -> str:
        return ", ".join(sorted(value.split(", "))) if name == "allow" else self.text(value)

    def _body(self, answer: httpx2.Response) -> t.Any:
        if "json" not in answer.headers.get("content-type", ""):
            return self.text(DUMP.sub(_place, answer.text))
        return self.value(answer.json())

    def value(self, value: t.Any, key: str = "") -> t.Any:
        if key in SECRET and value:
            return f"<{key}>"
        if isinstance(value, dict):
            return {self.text(name): self.value(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            items = [item for inner in value if not _foreign(item := self.value(inner))]
            return items if self.ordered else sorted(items, key=_order)
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        text = text.replace(self.base, "<url>")
        for value, name in sorted(((v, n) for n, v in self.names.items() if isinstance(v, str) and len(v) >= SHORT), key=_longest):
            text = text.replace(value, f"${name}")
        for pattern, placeholder in PATTERNS:
            text = pattern.sub(placeholder, text)
        return TIME.sub(_shape, text)


def _longest(pair: tuple[str, str]) -> tuple[int, str]:
    return -len(pair[0]), pair[1]


def _place(found: re.Match[str]) -> str:
    return f" (instance{found[1]})" if found[1] else ""


def _shape(found: re.Match[str]) -> str:
    """A time's form, which clients parse: how exact it is, and whether it names its zone."""
    return f"<time{re.sub('[0-9]', '0', found[1] or '')}{found[2] or ''}>"


def _order(item: t.Any) -> str:
    return json.dumps(item, sort_keys=True)


def _foreign(item: t.Any) -> bool:
    """Whether a list's item is not the scene's: other things may be on a cloud, too. A version document has an id that nobody
    makes."""
    if not isinstance(item, dict) or "media-types" in item or item.keys() == VERSION:
        return False
    if isinstance(id := next((item[name] for name in NAMING if name in item), None), str):
        return "$" not in id and id not in LITERAL
    return UNKNOWN.search(json.dumps(item)) is not None
