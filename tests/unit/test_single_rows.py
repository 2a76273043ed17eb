"""`tx.get` and `tx.one` are for rows of which there is one at most: where there can be two, some client will make two, and be
answered with a 500."""

from __future__ import annotations

import ast
import importlib
import typing as t
from pathlib import Path

import sqlalchemy as sa

import cumulet
from cumulet.kernel import services
from cumulet.run.control import SERVICES

ROOT = Path(cumulet.__file__).parent
KEPT_SINGLE = {
    ("server_block_devices", "boot_index destination_type server_id"): "a server with two root disks is refused",
    ("server_block_devices", "server_id volume_id"): "what a server has already is not attached to it",
    ("server_nics", "port_id server_id"): "a port that a device has is not claimed",
    ("volume_attachments", "by_compute instance_id volume_id"): "a volume is reserved for a server once",
    ("identity_projects", "domain_id name"): "a name that is taken is refused; a domain is in none, so no constraint does",
    ("identity_registered_limits", "region_id resource_name service_id"): "a second is refused; the region may be none",
    ("networks", "is_default"): "a second default is refused",
    ("networks", "external is_default"): "a second default is refused",
    ("subnetpools", "ip_version is_default"): "a second default is refused",
    ("security_groups", "is_default project_id"): "made where there is none, and by nothing else",
    ("floatingips", "fixed_ip_address floating_network_id port_id"): "an address that has one gets no other",
}
"""Table and columns by which there is one at most without a constraint that says so, and what sees to it."""


def uniques(table: sa.Table) -> t.Iterator[set[str]]:
    """The sets of columns by which a row is found alone."""
    yield {column.name for column in table.primary_key}
    yield from ({column.name} for column in table.columns if column.unique)
    yield from ({c.name for c in one.columns} for one in table.constraints if isinstance(one, sa.UniqueConstraint))
    yield from ({c.name for c in one.columns} for one in table.indexes if one.unique)


def single_rows(path: Path) -> t.Iterator[tuple[int, sa.Table, set[str]]]:
    """Line, table and columns of each call that names them outright."""
    module = importlib.import_module("cumulet." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("tx.get", "tx.one")) and isinstance(node.args[0], ast.Name):
            table = getattr(module, node.args[0].id, None)
            names = {one.arg for one in node.keywords}
            if isinstance(table, sa.Table) and None not in names:
                yield node.lineno, table, t.cast(set[str], names)


def test_what_is_read_as_one_row_is_one():
    services.load(*SERVICES)
    wrong, used = [], set()
    for path in sorted(ROOT.rglob("*.py")):
        if "tx." not in path.read_text() or "migrations" in path.parts:
            continue
        for line, table, names in single_rows(path):
            key = (table.name, " ".join(sorted(names)))
            used.add(key)
            if key not in KEPT_SINGLE and not any(one <= names for one in uniques(table)):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {table.name} by {key[1]}")
    assert wrong == []
    assert set(KEPT_SINGLE) - used == set(), "exceptions that nothing needs any more"
