"""What logs must not tell."""

from __future__ import annotations

import io
import json
import traceback

import pytest
import sqlalchemy as sa
import structlog

from cumulet.kernel import log
from cumulet.kernel.db.engine import create_engine

SECRET = "correct horse battery staple"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_a_logged_error_tells_its_trace_and_no_variables(stream: io.StringIO):
    before = structlog.get_config()
    try:
        log.configure("debug", stream)
        try:
            fail("".join(SECRET))
        except ValueError:
            log.get_logger("test").exception("it failed", path="/x")
    finally:
        structlog.configure(**before)
    told = stream.getvalue()
    assert "it failed" in told and "ValueError" in told and "in fail" in told and SECRET not in told
    assert stream.isatty() or json.loads(told)["event"] == "it failed"


def fail(password: str) -> None:
    kept = {"password": password}
    raise ValueError(f"of length {len(kept['password'])}")


def test_a_database_error_tells_no_values(database_url: str):
    engine = create_engine(database_url)
    bad = sa.select(sa.column("nothing")).select_from(sa.table("nowhere")).where(sa.literal(SECRET) == "x")
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(bad)
    engine.dispose()
    told = "".join(traceback.format_exception(caught.value))
    assert "nowhere" in told and SECRET not in told
