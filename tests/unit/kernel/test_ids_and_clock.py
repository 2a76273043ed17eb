"""Identifiers and moments."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cumulet.kernel import clock, ids


def test_ids_are_random_uuids():
    made = {ids.new() for _ in range(100)}
    assert len(made) == 100
    assert all(uuid.UUID(one).version == 4 and str(uuid.UUID(one)) == one for one in made)
    assert len(ids.new_hex()) == 32 and uuid.UUID(ids.new_hex()).version == 4
    assert ids.request_id().startswith("req-") and ids.is_uuid(ids.request_id()[4:])


@given(st.uuids())
def test_uuids_are_known_in_their_forms(one: uuid.UUID):
    assert ids.is_uuid(str(one)) and ids.is_uuid(one.hex) and ids.is_uuid(str(one).upper())


@pytest.mark.parametrize(
    "text", ["", "x", "1" * 31, "1" * 33, "{" + str(uuid.UUID(int=1)) + "}", "urn:uuid:" + str(uuid.UUID(int=1)), "१" * 32, None, 7]
)
def test_what_is_no_uuid(text: object):
    assert not ids.is_uuid(text)


@given(st.text())
def test_anything_may_be_asked(text: str):
    assert ids.is_uuid(text) in (True, False)


def test_tags_are_short_and_stable():
    assert ids.tag("network-1") == ids.tag("network-1") != ids.tag("network-2")
    assert len(ids.tag("x", 8)) == 8


@given(st.datetimes())
def test_moments_survive_their_text(moment: dt.datetime):
    assert clock.parse(clock.iso(moment, micro=True)) == moment


def test_moments_are_utc_without_a_zone():
    assert clock.now().tzinfo is None
    assert abs(clock.now() - dt.datetime.now(dt.UTC).replace(tzinfo=None)) < dt.timedelta(seconds=5)
    assert clock.parse("2026-01-31T12:00:00+02:00") == clock.parse("2026-01-31T10:00:00Z") == dt.datetime(2026, 1, 31, 10)
    assert clock.iso(dt.datetime(2026, 1, 31, 10, 0, 0, 999)) == "2026-01-31T10:00:00Z"
    assert clock.iso(None) is None
    with pytest.raises(ValueError):
        clock.parse("soon")
