"""`tx.get` and `tx.one` are for rows of which there is one at most: where there can be two, some client will make two, and be
answered with a 500. This looks at the calls that name a table and columns outright; `CheckedTx` looks at every call that a test
of the API brings about."""

from __future__ import annotations

import ast
import importlib
import typing as t
from pathlib import Path

import sqlalchemy as sa

import cumulet
from cumulet.kernel import services
from cumulet.kernel.testing.rows import keys
from cumulet.run.control import SERVICES

ROOT = Path(cumulet.__file__).parent


def single_rows(path: Path) -> t.Iterator[tuple[int, sa.Table, set[str]]]:
    """Line, table and columns of each call that names them outright."""
    module = importlib.import_module("cumulet." + ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("tx.get", "tx.one")):
            table = _named(module, ast.unparse(node.args[0]))
            names = {one.arg for one in node.keywords}
            if isinstance(table, sa.Table) and None not in names:
                yield node.lineno, table, t.cast(set[str], names)


def _named(module: t.Any, dotted: str) -> t.Any:
    """What a name, or a name of a module's, stands for; None where it is a function's own."""
    for part in dotted.split("."):
        module = getattr(module, part, None)
    return module


def test_what_is_read_as_one_row_is_one():
    services.load(*SERVICES)
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        if "tx." not in path.read_text() or "migrations" in path.parts:
            continue
        for line, table, names in single_rows(path):
            if not any(columns | dict(among).keys() <= names for columns, among in keys(table)):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {table.name} by {' '.join(sorted(names))}")
    assert wrong == [], "say in the table that there is one (`unique`, `once`), or read several"
