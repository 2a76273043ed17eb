"""The table of durable work, and the statements on it."""

from __future__ import annotations

import datetime as dt
import time
import typing as t

import sqlalchemy as sa

from .. import clock
from ..db import Row, Tx, table

LEASE = dt.timedelta(seconds=30)
RETRY_MAX = dt.timedelta(seconds=60)
BEHIND = 1_000_000
"""What a generation grows by, at least, where this worker's clock is behind the last one's: more than it sent commands."""

FORWARD, BACKWARD = 1, -1
LIVE, DONE, FAILED, SUPERSEDED = "live", "done", "failed", "superseded"

tasks = table(
    "tasks",
    sa.Column("seq", sa.BigInteger, nullable=False, unique=True),
    sa.Column("saga", sa.String(100), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False, index=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("direction", sa.Integer, nullable=False),
    sa.Column("state", sa.JSON, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("owner", sa.String(64)),
    sa.Column("due_at", sa.DateTime, nullable=False),
    sa.Column("deadline", sa.DateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(64)),
    sa.Index("ix_tasks_status_due_at", "status", "due_at"),
)
"""`seq` orders the work on a subject. `generation` is what its commands carry: with each lease it is when that began, and
each command adds one. Both are nanoseconds since 1970. `due_at` is when a worker may take the task: at once, at a retry's
time, or when its worker's lease runs out."""


def record(tx: Tx, saga: str, subject: str, state: dict, deadline: dt.timedelta, request_id: str | None) -> Row:
    """Write down work to do, in the transaction that asks for it."""
    seq, now = time.time_ns(), clock.now()
    tx.nudge("work")
    return tx.insert(
        tasks, seq=seq, saga=saga, subject=subject, generation=seq, status=LIVE, position=0, direction=FORWARD,
        state=state, due_at=now, deadline=now + deadline, attempts=0, request_id=request_id,
    )  # fmt: skip


def take(tx: Tx, owner: str, limit: int) -> list[Row]:
    """Lease what is due: of each subject only the oldest task, so that work on one thing never overlaps. With each lease
    begins a new generation: whatever the last worker sent, and whatever is still under way of it, is stale then."""
    older = tasks.alias()
    first = ~sa.exists().where(older.c.subject == tasks.c.subject, older.c.status == LIVE, older.c.seq < tasks.c.seq)
    due = (
        sa.select(tasks).where(tasks.c.status == LIVE, tasks.c.due_at <= clock.now(), first)
        .order_by(tasks.c.due_at).limit(limit).with_for_update(skip_locked=True)
    )  # fmt: skip
    ids, generation = [row.id for row in tx.all(due)], time.time_ns()
    if not ids:
        return []
    newer = sa.case((tasks.c.generation < generation, generation), else_=tasks.c.generation + BEHIND)
    lease = tasks.update().where(tasks.c.id.in_(ids)).values(owner=owner, due_at=clock.now() + LEASE, generation=newer)
    return list(tx.execute(lease.returning(tasks)))


def free(tx: Tx, is_dead: t.Callable[[str], bool]) -> int:
    """Make the tasks of workers that are dead due now, not when their leases run out; how many there were."""
    held = tx.all(sa.select(tasks.c.owner).where(tasks.c.status == LIVE, tasks.c.owner.is_not(None)).distinct())
    dead = [row.owner for row in held if is_dead(row.owner)]
    if not dead:
        return 0
    mine = tasks.update().where(tasks.c.status == LIVE, tasks.c.owner.in_(dead))
    return tx.execute(mine.values(owner=None, due_at=clock.now())).rowcount


def renew(tx: Tx, owner: str, running: list[str]) -> set[str]:
    """Extend the leases of the tasks that this worker runs; the ids of those that are still its own."""
    mine = (tasks.c.owner == owner, tasks.c.status == LIVE, tasks.c.id.in_(running))
    tx.execute(tasks.update().where(*mine).values(due_at=clock.now() + LEASE))
    return {row.id for row in tx.all(sa.select(tasks.c.id).where(*mine))}


def advance(tx: Tx, task: Row, by: str, **values: t.Any) -> bool:
    """Record progress; False where the task is no longer that of the worker `by` (superseded, or its lease ran out)."""
    mine = tasks.update().where(tasks.c.id == task.id, tasks.c.owner == by, tasks.c.status == LIVE)
    return tx.execute(mine.values(updated_at=clock.now(), **values)).rowcount == 1


def is_held(tx: Tx, id: str, by: str) -> bool:
    """Whether a task is still that of the worker `by`."""
    return tx.get(tasks, id=id, owner=by, status=LIVE) is not None


def supersede(tx: Tx, subject: str) -> list[Row]:
    """End all live work on a subject where it stands: what follows takes care of whatever it left."""
    live = tx.rows(tasks, subject=subject, status=LIVE)
    if live:
        tx.update(tasks, {"subject": subject, "status": LIVE}, status=SUPERSEDED)
        tx.nudge("superseded")
    return live


def next_due(tx: Tx) -> dt.datetime | None:
    return tx.scalar(sa.select(sa.func.min(tasks.c.due_at)).where(tasks.c.status == LIVE))


def forget(tx: Tx, before: dt.datetime) -> int:
    """Remove ended tasks that are older than `before`."""
    return tx.execute(tasks.delete().where(tasks.c.status != LIVE, tasks.c.created_at < before)).rowcount
