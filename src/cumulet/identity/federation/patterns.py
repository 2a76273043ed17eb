"""Regular expressions in the language of `re`, matched in a time that grows with the text and not faster, whatever the
pattern: by keeping the set of all states that the pattern may be in (Thompson, "Regular expression search algorithm",
1968). The texts come from other people's directories, and `re` takes exponential time for some of them.

`re` reads the patterns and decides on single characters and places, so that these mean what they mean to it. What needs
backtracking is refused: references to groups, looking ahead or behind, atomic groups and possessive repeats.
"""

from __future__ import annotations

import functools
import importlib
import re
import typing as t

LONGEST, MOST_STATES = 255, 300
"""Of a pattern: its characters, and its states; repeats that are counted have some for each time."""

FINAL = 0
PLACES = {
    "AT_BEGINNING": "^", "AT_BEGINNING_STRING": r"\A", "AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B", "AT_END": "$",
    "AT_END_STRING": r"\Z",
}  # fmt: skip
CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
KINDS_OF_TEXT = re.ASCII | re.UNICODE
_parser: t.Any = importlib.import_module("re._parser")


class PatternError(ValueError):
    """A pattern that is none, or that is not matched here."""


class State(t.NamedTuple):
    """Where a match may be: it goes on to each of `then` where the text at its position passes the test, which takes
    one character or none."""

    then: tuple[int, ...]
    test: re.Pattern[str] | None = None
    takes: bool = False


class Pattern:
    """Raises PatternError."""

    def __init__(self, text: str):
        if len(text) > LONGEST:
            raise PatternError(f"The pattern {text[:40]!r}... has more than {LONGEST} characters")
        self.text = text
        self._states = [State(())]
        try:
            parsed = _parser.parse(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternError(f"{text!r} is no regular expression: {error}") from None
        self._start = self._sequence(parsed, parsed.state.flags, FINAL)

    @property
    def size(self) -> int:
        """Its states: no character of a text takes more steps."""
        return len(self._states)

    def found_in(self, text: str) -> bool:
        """Whether it matches any part of a text, as `re.search` says it."""
        active: set[int] = set()
        for at in range(len(text) + 1):
            active = self._reached(active | {self._start}, text, at)
            if FINAL in active:
                return True
            active = {one for state in active for one in self._next(state, text, at)}
        return False

    def _next(self, number: int, text: str, at: int) -> tuple[int, ...]:
        state = self._states[number]
        return state.then if state.test is None or state.test.match(text, at) else ()

    def _reached(self, states: set[int], text: str, at: int) -> set[int]:
        """The states that take a character, and the final one, that these come to without one."""
        seen, left, found = set(states), list(states), set()
        while left:
            number = left.pop()
            if number == FINAL or self._states[number].takes:
                found.add(number)
                continue
            new = set(self._next(number, text, at)) - seen
            seen |= new
            left += new
        return found

    # -- making the states, from the pattern's end to its beginning: each part is given what comes after it ---------

    def _add(self, state: State) -> int:
        if len(self._states) >= MOST_STATES:
            raise PatternError(f"The pattern {self.text!r} is too large: repeats that are counted are written out")
        self._states.append(state)
        return len(self._states) - 1

    def _sequence(self, parts: t.Iterable, flags: int, after: int) -> int:
        for op, value in reversed(list(parts)):
            after = self._part(op.name, value, flags, after)
        return after

    def _part(self, op: str, value: t.Any, flags: int, after: int) -> int:
        if op in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            return self._add(State((after,), _compiled(_character(op, value), flags), takes=True))
        if op == "AT":
            return self._add(State((after,), _compiled(PLACES[value.name], flags)))
        if op == "BRANCH":
            return self._add(State(tuple(self._sequence(branch, flags, after) for branch in value[1])))
        if op == "SUBPATTERN":
            return self._sequence(value[3], _combined(flags, value[1], value[2]), after)
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = value
            return self._repeat(least, most, body, flags, after)
        raise PatternError(f"The pattern {self.text!r} refers to a group, looks ahead or behind, or does not give back what it took")

    def _repeat(self, least: int, most: int, body: t.Any, flags: int, after: int) -> int:
        if most == _parser.MAXREPEAT:
            after = self._loop(body, flags, after)
        else:
            end = after
            for _ in range(most - least):
                after = self._add(State((self._sequence(body, flags, after), end)))
        for _ in range(least):
            before, after = after, self._sequence(body, flags, after)
            if after == before:  # it is empty, however often
                break
        return after

    def _loop(self, body: t.Any, flags: int, after: int) -> int:
        fork = self._add(State((after,)))
        self._states[fork] = State((self._sequence(body, flags, fork), after))
        return fork


pattern = functools.lru_cache(maxsize=4096)(Pattern)
"""A pattern, made once. Raises PatternError."""


@functools.lru_cache(maxsize=4096)
def _compiled(text: str, flags: int) -> re.Pattern[str]:
    return re.compile(text, flags & (KINDS_OF_TEXT | re.IGNORECASE | re.MULTILINE | re.DOTALL))


def _character(op: str, value: t.Any) -> str:
    """What takes one character, as a pattern of its own."""
    if op == "IN":
        return f"[{''.join(_member(kind.name, member) for kind, member in value)}]"
    return {"LITERAL": "[{}]", "NOT_LITERAL": "[^{}]", "ANY": "."}[op].format(_quoted(value) if value is not None else "")


def _member(kind: str, value: t.Any) -> str:
    if kind == "NEGATE":
        return "^"
    if kind == "CATEGORY":
        return CATEGORIES[value.name]
    return f"{_quoted(value[0])}-{_quoted(value[1])}" if kind == "RANGE" else _quoted(value)


def _quoted(code: int) -> str:
    return f"\\U{code:08x}"


def _combined(flags: int, added: int, taken: int) -> int:
    if added & KINDS_OF_TEXT:
        flags &= ~KINDS_OF_TEXT
    return (flags | added) & ~taken
