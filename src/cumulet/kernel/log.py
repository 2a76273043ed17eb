"""Structured logs: one JSON object a line, or coloured lines where a person watches."""

from __future__ import annotations

import contextlib
import logging
import sys
import typing as t

import structlog


class Logger:
    """A named logger. Events are short sentences; what varies goes into fields."""

    def __init__(self, name: str):
        self._name = name
        self._log = structlog.get_logger()  # bound at each line: this runs before logging is set up

    def debug(self, event: str, **fields: t.Any) -> None:
        self._log.debug(event, logger=self._name, **fields)

    def info(self, event: str, **fields: t.Any) -> None:
        self._log.info(event, logger=self._name, **fields)

    def warning(self, event: str, **fields: t.Any) -> None:
        self._log.warning(event, logger=self._name, **fields)

    def error(self, event: str, **fields: t.Any) -> None:
        self._log.error(event, logger=self._name, **fields)

    def exception(self, event: str, **fields: t.Any) -> None:
        self._log.error(event, logger=self._name, exc_info=True, **fields)

    @contextlib.contextmanager
    def bound(self, **fields: t.Any) -> t.Iterator[None]:
        """Put fields on every line written inside, by anyone."""
        with structlog.contextvars.bound_contextvars(**{k: v for k, v in fields.items() if v is not None}):
            yield


def get_logger(name: str) -> Logger:
    return Logger(name)


def configure(level: str = "info", stream: t.TextIO | None = None) -> None:
    """Set up logging for this process: a person's form on a terminal, JSON elsewhere."""
    out = stream or sys.stderr
    person = out.isatty()
    processors: list[t.Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if person:
        # A trace with its variables would show passwords and tokens.
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
