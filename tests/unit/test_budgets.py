"""The house's budgets: sizes of files, functions and classes, and the number of settings. The exceptions only shrink."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

from cumulet.kernel.config import Config

SOURCE = Path(__file__).parents[2] / "src" / "cumulet"
FILE_LINES, MEDIAN_LINES, CLASS_METHODS, OPTIONS = 500, 10, 25, 80
LONG_FILES: set[str] = set()
MIGRATIONS = SOURCE / "kernel" / "db" / "migrations"


def files() -> list[Path]:
    return [path for path in SOURCE.rglob("*.py") if MIGRATIONS not in path.parents]


def test_files_are_short():
    long = {str(path.relative_to(SOURCE)) for path in files() if len(path.read_text().splitlines()) > FILE_LINES}
    assert long == LONG_FILES, "a file outgrew its budget, or one that was excepted no longer needs to be"


def test_functions_are_short():
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]
    assert statistics.median(lengths) <= MEDIAN_LINES


def test_classes_have_few_methods():
    crowded = [
        f"{path.name}:{node.name}"
        for path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and sum(isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef) for m in node.body) > CLASS_METHODS
    ]
    assert crowded == []


def test_settings_are_few():
    assert len(Config.__struct_fields__) <= OPTIONS


def test_nothing_is_named_utils():
    assert [path for path in files() if "util" in path.stem] == []
