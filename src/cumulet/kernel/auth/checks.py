"""What a rule's text means: a tree of checks, which `passes` decides by and `explain` tells of."""

from __future__ import annotations

import operator
import typing as t

from .context import Context


class Check(t.Protocol):
    """A part of a rule. Its text is the part as it was written."""

    def passes(self, context: Context, target: dict) -> bool: ...


class Constant:
    """`@` and nothing at all, which always pass; `!`, which never does."""

    __slots__ = ("value",)

    def __init__(self, value: bool):
        self.value = value

    def __str__(self) -> str:
        return "@" if self.value else "!"

    def passes(self, context: Context, target: dict) -> bool:
        return self.value


class Either:
    """`... or ...`"""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Check]):
        self.parts = tuple(parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))

    def passes(self, context: Context, target: dict) -> bool:
        for part in self.parts:  # noqa: SIM110 - any() takes twice as long
            if part.passes(context, target):
                return True
        return False


class Both:
    """`... and ...`"""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Check]):
        self.parts = tuple(parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, Either) else str(part) for part in self.parts)

    def passes(self, context: Context, target: dict) -> bool:
        for part in self.parts:  # noqa: SIM110 - all() takes twice as long
            if not part.passes(context, target):
                return False
        return True


class Not:
    """`not ...`"""

    __slots__ = ("part",)

    def __init__(self, part: Check):
        self.part = part

    def __str__(self) -> str:
        return f"not ({self.part})" if isinstance(self.part, Either | Both) else f"not {self.part}"

    def passes(self, context: Context, target: dict) -> bool:
        return not self.part.passes(context, target)


class Reference:
    """`rule:name`, which is looked up when it is asked; a rule of no such name never passes."""

    __slots__ = ("name", "rules")

    def __init__(self, name: str, rules: dict[str, Check]):
        self.name, self.rules = name, rules

    def __str__(self) -> str:
        return f"rule:{self.name}"

    def passes(self, context: Context, target: dict) -> bool:
        check = self.rules.get(self.name)
        return check is not None and check.passes(context, target)


class Scoped:
    """A whole rule that is for some kinds of token alone; another rule that names it asks for the check without that."""

    __slots__ = ("check", "scopes")

    def __init__(self, scopes: tuple[str, ...], check: Check):
        self.scopes, self.check = scopes, check

    def passes(self, context: Context, target: dict) -> bool:
        return context.scope in self.scopes and self.check.passes(context, target)


class Role:
    """`role:name`; case makes no difference."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name.lower()

    def __str__(self) -> str:
        return f"role:{self.name}"

    def passes(self, context: Context, target: dict) -> bool:
        return self.name in context.roles


class Compare:
    """`what:value`, where `what` is something of the caller or a literal, and `value` a literal or `%(something of the target)s`."""

    __slots__ = ("attribute", "kind", "match")

    def __init__(self, kind: str, match: str):
        self.kind, self.match = kind, match
        self.attribute = match[2:-2] if match.startswith("%(") and match.endswith(")s") else None

    def __str__(self) -> str:
        return f"{self.kind}:{self.match}"

    def held(self, context: Context) -> t.Any:
        """What the caller has, or the literal."""
        kind = self.kind
        if kind in _HELD:
            return _HELD[kind](context)
        return context.extra[kind] if kind in context.extra else kind.strip("'\"")

    def literal(self, context: Context) -> bool:
        """Whether what is compared is nothing of the caller's, and means itself."""
        return self.kind not in _HELD and self.kind not in context.extra

    def passes(self, context: Context, target: dict) -> bool:
        if self.attribute is None:
            return str(self.held(context)) == self.match
        wanted, held = lookup(target, self.attribute), self.held(context)
        if wanted is None or held is None:
            return wanted is None and self.kind == "None"
        return str(held) == str(wanted)


_HELD: dict[str, t.Callable[[Context], t.Any]] = {name: operator.attrgetter(name) for name in Context.__struct_fields__} | {
    "system_scope": lambda context: "all" if context.system else None,
    "is_admin_project": lambda context: True,
    "tenant": lambda context: context.project_id,
}
"""What rules call the things that a token tells of its caller, besides those that a service adds."""


def lookup(target: dict, path: str) -> t.Any:
    """`target.user.domain_id` in a flat target (as written) or a nested one."""
    if path in target:
        return target[path]
    found: t.Any = target
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
