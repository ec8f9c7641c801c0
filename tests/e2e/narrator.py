"""Tell a human, step by step, what is going on. Secrets are cut short."""

from collections.abc import Iterable, Mapping, Sequence
import re
from typing import Any

# Plex's transient tokens, and where the first digits of one end.
SECRET = re.compile(r"(transient-[0-9a-f]{4})[0-9a-f-]{32}")
# Identifiers and hashes, which in a table only have to be told apart.
IDENTIFIER = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")
INDENT = " " * 4
# Characters. A table that is wider is turned on its side if that helps.
WIDTH = 120


class StepError(Exception):
    """Something was not as expected."""


class Narrator:
    """Prints steps, facts and tables; a silent one prints nothing."""

    def __init__(self, *, silent: bool = False) -> None:
        """Begin before the first step."""
        self._silent = silent
        self._number = 0
        self.current = "start"

    def step(self, title: str) -> None:
        """Begin a step."""
        self._number += 1
        self.current = f"step {self._number}: {title}"
        self._print(f"\n{self._number:2}  {title}\n    {'-' * len(title)}")

    def say(self, text: str) -> None:
        """Tell something."""
        self._print(f"{INDENT}{text}")

    def expect(self, text: str, *, is_so: object) -> None:
        """Tell something that was checked, and fail unless it is so."""
        if not is_so:
            raise StepError(f"not so: {text}")
        self.say(f"✓ {text}")

    def show(self, facts: Mapping[str, Any]) -> None:
        """List names and values; a list of objects becomes a table of its own."""
        flat = dict(_flatten(facts))
        width = max((len(name) for name in flat), default=0)
        for name, value in flat.items():
            if _is_table(value):
                self.say(f"{name}:")
                self.table(value)
            else:
                self.say(f"{name:{width}}  {text(value)}")

    def table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Print objects with the same members below each other."""
        lines = [
            list(rows[0]),
            *([_cell(value) for value in row.values()] for row in rows),
        ]
        turned = [list(line) for line in zip(*lines, strict=True)]
        if _width(turned) < _width(lines) > WIDTH:
            lines = turned
        widths = _widths(lines)
        for line in lines:
            cells = [
                f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)
            ]
            self.say(f"  {'  '.join(cells)}".rstrip())

    def _print(self, line: str) -> None:
        """Print a line at once, whoever is reading."""
        if not self._silent:
            print(SECRET.sub(r"\1…", line), flush=True)


def text(value: Any) -> str:
    """Return a value for people."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(text, value)) or "-"
        case _:
            return str(value)


def _cell(value: Any) -> str:
    """Return a value for a table."""
    return IDENTIFIER.sub(r"\1…", text(value))


def _widths(lines: list[list[str]]) -> list[int]:
    """Return how wide each column has to be."""
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _width(lines: list[list[str]]) -> int:
    """Return how wide a table gets."""
    return sum(_widths(lines)) + 2 * len(lines[0])


def _flatten(facts: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Return names and values, those of inner objects as outer.inner."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_table(value: Any) -> bool:
    """Return if a value is a list of objects."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
