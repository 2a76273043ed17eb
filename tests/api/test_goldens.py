"""What is made from the declarations is as it was when it was last looked at and committed."""

from __future__ import annotations

import pytest

from goldens import GOLDEN, ROOT, kept, made

FILES = made()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_is_up_to_date(path):
    assert path.exists(), "run `make goldens`"
    before, now = path.read_text().splitlines(), FILES[path].splitlines()
    gone, new = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    assert before == now, f"run `make goldens`, and look at what changes: -{gone[:5]} +{new[:5]}"


def test_nothing_is_left_over():
    assert kept() <= FILES.keys(), f"run `make goldens`: something in {GOLDEN} belongs to no service"
