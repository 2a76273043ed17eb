from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.placement.candidates import Ask, Group, find
from cumulet.placement.model import Inventory, Provider


def provider(
    id: str, parent: Provider | None = None, traits: str = "", aggregates: str = "", used: dict | None = None, **totals: int
) -> Provider:
    return Provider(
        id, id, 0, parent and parent.id, parent.root_id if parent else id, {c: Inventory(total=n) for c, n in totals.items()},
        frozenset(traits.split()), frozenset(aggregates.split()), used or {},
    )  # fmt: skip


def where(ask: Ask, *providers: Provider) -> list[set[str]]:
    return [set(candidate.allocations) for candidate in find(ask, providers)]


def test_group_without_suffix_is_split_in_a_tree_and_its_traits_count_together():
    root = provider("root", VCPU=4, traits="A")
    numa = provider("numa", root, MEMORY_MB=64, traits="B")
    ask = lambda *required: Ask({"": Group({"VCPU": 1, "MEMORY_MB": 8}, [frozenset({r}) for r in required])})
    assert where(ask("A", "B"), root, numa) == [{"root", "numa"}] and where(ask("C"), root, numa) == []
    assert where(Ask({"_X": Group({"VCPU": 1, "MEMORY_MB": 8})}), root, numa) == []


def test_aggregates_of_a_root_span_its_tree_for_the_group_without_suffix_only():
    root = provider("root", aggregates="agg")
    child = provider("child", root, VCPU=4)
    group = Group({"VCPU": 1}, member_of=[frozenset({"agg"})])
    assert where(Ask({"": group}), root, child) == [{"child"}] and where(Ask({"_X": group}), root, child) == []
    assert where(Ask({"": Group({"VCPU": 1}, outside=frozenset({"agg"}))}), root, child) == []


def test_same_subtree_and_groups_without_resources():
    root = provider("root", VCPU=4)
    numa = [provider(f"numa{i}", root, traits="NUMA", MEMORY_MB=64) for i in range(2)]
    cards = [provider(f"card{i}", numa[i], VGPU=1) for i in range(2)]
    groups = {"_MEM": Group({"MEMORY_MB": 8}), "_GPU": Group({"VGPU": 1})}
    everything = (root, *numa, *cards)
    assert len(where(Ask(groups), *everything)) == 4
    assert where(Ask(groups, same_subtree=[frozenset(groups)]), *everything) == [{"numa0", "card0"}, {"numa1", "card1"}]
    anchored = {"_N": Group(required=[frozenset({"NUMA"})]), "_GPU": Group({"VGPU": 1})}
    found = find(Ask(anchored, same_subtree=[frozenset(anchored)]), everything)
    assert [candidate.mappings for candidate in found] == [{"_N": [f"numa{i}"], "_GPU": [f"card{i}"]} for i in range(2)]
    assert [set(candidate.allocations) for candidate in found] == [{"card0"}, {"card1"}]


def test_sums_over_groups_must_fit_one_provider():
    one = provider("one", SRIOV_NET_VF=3)
    assert where(Ask({"_A": Group({"SRIOV_NET_VF": 2}), "_B": Group({"SRIOV_NET_VF": 2})}), one) == []
    (found,) = find(Ask({"_A": Group({"SRIOV_NET_VF": 2}), "_B": Group({"SRIOV_NET_VF": 1})}), [one])
    assert found.allocations == {"one": {"SRIOV_NET_VF": 3}}


def test_in_tree_and_root_required():
    roots = [provider(f"r{i}", VCPU=1, traits="GOLD" if i else "") for i in range(2)]
    child = provider("c", roots[0], VCPU=1)
    everything = (*roots, child)
    assert where(Ask({"": Group({"VCPU": 1}, in_tree="c")}), *everything) == [{"r0"}, {"c"}]
    assert where(Ask({"": Group({"VCPU": 1}, in_tree="nowhere")}), *everything) == []
    assert where(Ask({"": Group({"VCPU": 1})}, root_required=frozenset({"GOLD"})), *everything) == [{"r1"}]
    assert where(Ask({"": Group({"VCPU": 1})}, root_forbidden=frozenset({"GOLD"})), *everything) == [{"r0"}, {"c"}]


def test_a_share_is_found_once_however_many_trees_reach_it():
    disk = provider("disk", DISK_GB=9, traits="MISC_SHARES_VIA_AGGREGATE", aggregates="agg")
    hosts = [provider(f"h{i}", VCPU=1, aggregates="agg") for i in range(3)]
    assert where(Ask({"": Group({"DISK_GB": 1})}), disk, *hosts) == [{"disk"}]
    assert len(where(Ask({"": Group({"DISK_GB": 1, "VCPU": 1})}), disk, *hosts)) == 3


def test_what_explodes_is_bounded():
    root = provider("root")
    nics = [provider(f"n{i}", root, SRIOV_NET_VF=8) for i in range(16)]
    ask = Ask({f"_{i}": Group({"SRIOV_NET_VF": 1}) for i in range(8)})
    assert 0 < len(find(ask, (root, *nics))) <= 10_000


Hosts = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8), st.booleans()), max_size=12)


@settings(max_examples=100, deadline=None)
@given(hosts=Hosts, vcpus=st.integers(1, 8), gold=st.booleans())
def test_flat_providers_are_candidates_exactly_where_they_fit(hosts, vcpus, gold):
    providers = [provider(f"h{i}", VCPU=t, used={"VCPU": u}, traits="GOLD" if g else "") for i, (t, u, g) in enumerate(hosts)]
    ask = Ask({"": Group({"VCPU": vcpus}, [frozenset({"GOLD"})] if gold else [])})
    wanted = [{f"h{i}"} for i, (total, used, is_gold) in enumerate(hosts) if total - used >= vcpus and (is_gold or not gold)]
    assert where(ask, *providers) == wanted
