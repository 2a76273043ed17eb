"""Which providers could together give what is asked. Pure: providers and an ask go in, candidates come out.

A candidate comes from one tree of providers and those that share with it through an aggregate. The group without a
suffix may be split among them, a class each; a group with a suffix is met by one provider.
"""

from __future__ import annotations

import dataclasses as dc
import itertools
import typing as t

from .model import Provider
from .standard import SHARING

MOST = 10_000
"""Candidates that an ask without a limit gets at most."""


@dc.dataclass
class Group:
    """What one group asks. Of each set in `required` one trait must be there, of each in `member_of` one aggregate."""

    resources: dict[str, int] = dc.field(default_factory=dict)
    required: list[frozenset[str]] = dc.field(default_factory=list)
    forbidden: frozenset[str] = frozenset()
    member_of: list[frozenset[str]] = dc.field(default_factory=list)
    outside: frozenset[str] = frozenset()
    in_tree: str | None = None


@dc.dataclass
class Ask:
    """A whole request. `groups` are by suffix, `""` is the one without; `same_subtree` are sets of suffixes."""

    groups: dict[str, Group]
    isolate: bool = False
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtree: list[frozenset[str]] = dc.field(default_factory=list)
    nested: bool = True
    limit: int | None = None


@dc.dataclass
class Candidate:
    """Provider id -> resource class -> amount, and which providers met each group."""

    root: str
    allocations: dict[str, dict[str, int]]
    mappings: dict[str, list[str]]


Choice = tuple[tuple[Provider, dict[str, int]], ...]
"""How one group is met: providers and what each gives."""


def find(ask: Ask, providers: t.Sequence[Provider]) -> list[Candidate]:
    """Candidates, none twice, at most as many as asked for (or `MOST`)."""
    found: dict[t.Hashable, Candidate] = {}
    most = min(ask.limit or MOST, MOST)
    for tree in _trees(ask, providers):
        for candidate in tree.candidates():
            found.setdefault(_identity(candidate), candidate)
            if len(found) >= most:
                return list(found.values())
    return list(found.values())


def _trees(ask: Ask, providers: t.Sequence[Provider]) -> t.Iterator[_Tree]:
    by_id = {provider.id: provider for provider in providers}
    members: dict[str, list[Provider]] = {}
    for provider in providers:
        members.setdefault(provider.root_id, []).append(provider)
    sharing = [provider for provider in providers if SHARING in provider.traits and provider.aggregates]
    for root_id, tree in members.items():
        root = by_id[root_id]
        if ask.root_required <= root.traits and not ask.root_forbidden & root.traits:
            yield _Tree(ask, root, tree, _shared_with(tree, sharing), by_id)


def _shared_with(tree: list[Provider], sharing: list[Provider]) -> list[Provider]:
    """The providers outside a tree that share with it."""
    if not sharing:
        return []
    aggregates = frozenset().union(*(provider.aggregates for provider in tree))
    return [one for one in sharing if one.root_id != tree[0].root_id and one.aggregates & aggregates]


class _Tree:
    """One tree, with those that share with it."""

    def __init__(self, ask: Ask, root: Provider, tree: list[Provider], shared: list[Provider], by_id: dict[str, Provider]):
        self._ask, self._root, self._tree, self._shared, self._by_id = ask, root, tree, shared, by_id

    def candidates(self) -> t.Iterator[Candidate]:
        options = []
        for suffix, group in self._ask.groups.items():
            choices = list(itertools.islice(self._granular(group) if suffix else self._split(group), MOST))
            if not choices:
                return
            options.append(choices)
        for chosen in itertools.islice(itertools.product(*options), MOST):
            met = dict(zip(self._ask.groups, chosen, strict=True))
            if self._together(met) and (candidate := self._merged(met)):
                yield candidate

    def _granular(self, group: Group) -> t.Iterator[Choice]:
        """Single providers that meet a group with a suffix."""
        for provider in self._within(group):
            if (
                provider.fits(group.resources)
                and all(provider.traits & any_of for any_of in group.required) and not provider.traits & group.forbidden
                and all(provider.aggregates & any_of for any_of in group.member_of) and not provider.aggregates & group.outside
            ):  # fmt: skip
                yield ((provider, group.resources),)

    def _split(self, group: Group) -> t.Iterator[Choice]:
        """Ways to take each class of the group without suffix from some provider. Their traits count together."""
        allowed = [provider for provider in self._within(group) if self._may(provider, group)]
        by_class = [[p for p in allowed if p.fits({name: amount})] for name, amount in group.resources.items()]
        if not all(by_class):
            return
        for chosen in itertools.product(*by_class):
            traits = frozenset().union(*(provider.traits for provider in chosen))
            if all(traits & any_of for any_of in group.required):
                given: dict[str, dict[str, int]] = {}
                for provider, (name, amount) in zip(chosen, group.resources.items(), strict=True):
                    given.setdefault(provider.id, {})[name] = amount
                yield tuple((self._by_id[id], resources) for id, resources in given.items())

    def _within(self, group: Group) -> list[Provider]:
        """The providers that a group may use: those of this tree and those that share with it, unless a tree is named."""
        reachable = self._tree + self._shared
        if group.in_tree is None:
            return reachable
        named = self._by_id.get(group.in_tree)
        return [provider for provider in reachable if named and provider.root_id == named.root_id]

    def _may(self, provider: Provider, group: Group) -> bool:
        """Whether a provider is allowed in the group without suffix; a root's aggregates span its whole tree."""
        aggregates = provider.aggregates | self._by_id[provider.root_id].aggregates
        return (
            not provider.traits & group.forbidden and not aggregates & group.outside
            and all(aggregates & any_of for any_of in group.member_of)
        )  # fmt: skip

    def _together(self, met: dict[str, Choice]) -> bool:
        """Whether what the groups chose goes together."""
        single = [choice[0][0].id for suffix, choice in met.items() if suffix]
        if self._ask.isolate and len(set(single)) < len(single):
            return False
        if not self._ask.nested and any(provider.parent_id for choice in met.values() for provider, _ in choice):
            return False
        return all(self._one_subtree([met[suffix][0][0] for suffix in wanted]) for wanted in self._ask.same_subtree)

    def _one_subtree(self, chosen: list[Provider]) -> bool:
        """Whether one of the providers is above (or is) all of them."""
        above = [set(self._lineage(provider)) for provider in chosen]
        return bool(set.intersection(*above) & {provider.id for provider in chosen})

    def _lineage(self, provider: Provider) -> t.Iterator[str]:
        at: Provider | None = provider
        while at is not None:
            yield at.id
            at = self._by_id.get(at.parent_id) if at.parent_id else None

    def _merged(self, met: dict[str, Choice]) -> Candidate | None:
        """The choices as one candidate, where the providers can give the sums."""
        sums: dict[str, dict[str, int]] = {}
        for choice in met.values():
            for provider, resources in choice:
                of = sums.setdefault(provider.id, {}) if resources else {}
                for name, amount in resources.items():
                    of[name] = of.get(name, 0) + amount
        if len(met) > 1 and not all(self._holds(self._by_id[id], resources) for id, resources in sums.items()):
            return None
        mappings = {suffix: [provider.id for provider, _ in choice] for suffix, choice in met.items()}
        return Candidate(self._root.id, sums, mappings)

    @staticmethod
    def _holds(provider: Provider, resources: dict[str, int]) -> bool:
        """Whether a provider can give the sums of several groups in one allocation."""
        return all(amount <= provider.free(name) and amount <= provider.inventories[name].max_unit for name, amount in resources.items())


def _identity(candidate: Candidate) -> t.Hashable:
    return (
        frozenset((id, frozenset(resources.items())) for id, resources in candidate.allocations.items()),
        frozenset((suffix, tuple(sorted(ids))) for suffix, ids in candidate.mappings.items()),
    )
