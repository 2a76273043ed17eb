"""JSON schemas of tasks, as clients fetch them."""

from __future__ import annotations

from ..kernel.http import Request
from . import api
from .policy import ANYONE
from .tasks import STATUSES, TYPES

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
WHOLE = ("input", "result", "message")
"""What a list of tasks has not."""


def _task() -> dict:
    text, anything, moment = {"type": "string"}, {"type": ["null", "object"]}, "Datetime when this resource was "
    return {"name": "task", "properties": {
        "id": text | {"description": "An identifier for the task", "pattern": UUID},
        "type": text | {"description": "The type of task represented by this content", "enum": list(TYPES)},
        "status": text | {"description": "The current status of this task", "enum": list(STATUSES)},
        "input": anything | {"description": "The parameters required by task, JSON blob"},
        "result": anything | {"description": "The result of current task, JSON blob"},
        "owner": text | {"description": "An identifier for the owner of this task"},
        "message": text | {"description": "Human-readable informative message only included when appropriate (usually on failure)"},
        "image_id": text | {"description": "Image associated with the task"},
        "request_id": text | {"description": "Human-readable informative request-id"},
        "user_id": text | {"description": "User associated with the task"},
        "expires_at": {"type": ["null", "string"], "description": "Datetime when this resource would be subject to removal"},
        "created_at": text | {"description": f"{moment}created"}, "updated_at": text | {"description": f"{moment}updated"},
        "self": text | {"readOnly": True}, "schema": text | {"readOnly": True},
    }}  # fmt: skip


@api.op("GET", "/schemas/task", policy=ANYONE)
async def task(request: Request) -> dict:
    """The schema of a task."""
    return _task()


@api.op("GET", "/schemas/tasks", policy=ANYONE)
async def tasks(request: Request) -> dict:
    """The schema of a list of tasks."""
    one = {"name": "task", "properties": {name: of for name, of in _task()["properties"].items() if name not in WHOLE}}
    return {
        "name": "tasks", "properties": {"tasks": {"type": "array", "items": one}, "schema": {"type": "string"}},
        "links": [{"rel": "describedby", "href": "{schema}"}],
    }  # fmt: skip
