"""Whoever may do something may, and nobody else: each cell of a service's policy matrix is asked for."""

from __future__ import annotations

import pytest

from goldens import OBSERVED, WORLDS
from matrix import matrix


@pytest.mark.parametrize("service", WORLDS)
def test_every_cell(service: str):
    before, now = (OBSERVED / f"{service}.txt").read_text().splitlines(), matrix(service, WORLDS[service]).splitlines()
    different = "\n".join([*(f"- {line}" for line in before if line not in now), *(f"+ {line}" for line in now if line not in before)])
    assert before == now, f"run `make goldens`, and look well at who may do more now:\n{different}"


def test_no_service_s_matrix_is_left_over():
    assert {path.stem for path in OBSERVED.iterdir()} == set(WORLDS)
