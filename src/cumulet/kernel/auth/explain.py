"""Why a rule passes for a caller or does not: the rule's tree with what each clause came to, and which of them decide."""

from __future__ import annotations

import typing as t

import msgspec

from .checks import Both, Check, Compare, Constant, Either, Not, Reference, Role, Scoped, lookup
from .context import Context
from .policy import Policy


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one clause came to. `decides`: the rule as a whole came out as it did because of it. `why`: what was compared."""

    clause: str
    passes: bool
    why: str = ""
    decides: bool = False
    parts: tuple[Step, ...] = ()


def explain(policy: Policy, rule: str, context: Context, target: dict) -> Step:
    """What a rule comes to. Raises LookupError where there is none of that name."""
    if rule not in policy.whole:
        raise LookupError(f"There is no rule {rule}.")
    return _decided(_Explainer(policy, context, target).of(policy.whole[rule]))


class _Explainer(t.NamedTuple):
    policy: Policy
    context: Context
    target: dict

    def of(self, check: Check) -> Step:
        passes = check.passes(self.context, self.target)
        match check:
            case Either() | Both():
                word = "any of" if isinstance(check, Either) else "all of"
                return Step(clause=word, passes=passes, parts=tuple(map(self.of, check.parts)))
            case Not():
                return Step(clause="not", passes=passes, parts=(self.of(check.part),))
            case Scoped():
                wanted = f"the token is of one of: {', '.join(check.scopes)}"
                scope = Step(clause=wanted, passes=self.context.scope in check.scopes, why=f"it is of {self.context.scope}")
                return Step(clause="all of", passes=passes, parts=(scope, self.of(check.check)))
            case Reference():
                return self._reference(check, passes)
            case Role():
                return Step(clause=str(check), passes=passes, why=f"roles: {', '.join(sorted(self.context.roles)) or 'none'}")
            case Compare():
                return Step(clause=str(check), passes=passes, why=self._compared(check))
            case Constant():
                return Step(clause=str(check), passes=passes, why="always" if check.value else "never")
        raise TypeError(check)

    def _reference(self, check: Reference, passes: bool) -> Step:
        named = check.rules.get(check.name)
        if named is None:
            return Step(clause=str(check), passes=passes, why="there is no such rule")
        return Step(clause=str(check), passes=passes, why=source(self.policy, check.name), parts=(self.of(named),))

    def _compared(self, check: Compare) -> str:
        told = [] if check.literal(self.context) else [f"{check.kind} is {_told(check.held(self.context))}"]
        if check.attribute is not None:
            told.append(f"{check.attribute} is {_told(lookup(self.target, check.attribute))}")
        return "; ".join(told)


def source(policy: Policy, rule: str) -> str:
    """Where a rule's text is from."""
    return "from policy.yaml" if rule in policy.overrides else "the default"


def _told(value: t.Any) -> str:
    return "not there" if value is None else str(value)


def _decided(step: Step) -> Step:
    """Mark what made a step come out as it did: of `or` what passed first, of `and` what failed first; else every part."""
    parts = list(step.parts)
    one = step.clause == "any of" if step.passes else step.clause == "all of"
    deciding = [next(part for part in parts if part.passes == step.passes)] if one else parts
    marked = tuple(_decided(part) if any(part is each for each in deciding) else part for part in parts)
    return msgspec.structs.replace(step, decides=True, parts=marked)
