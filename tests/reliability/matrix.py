"""The fault table as a matrix that a person can read."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

CELL = "cell of the fault table"
# What there is to print at the end.
REPORT = pytest.StashKey[str]()
FAILED = "FAILED"
# What fits into a column.
SHORT = {
    None: "ok",
    "auth_failed": "auth",
    "cannot_connect": "connect",
    "invalid_auth": "auth",
    "pin_expired": "new code",
    "logged": "log",
    "media_not_found": "unknown",
    "not_accepted": "refused",
    "not_permitted": "refused",
    "nothing_played": "no media",
    "rate_limited": "limit",
    "server_unreachable": "no server",
    "source_not_found": "unknown",
    "timeout_connect": "timeout",
    "unexpected_response": "answer",
}
LEGEND = """\
Each cell is a test: the user saw just this, nothing was forgotten, and with the next
refresh or attempt all was back. ok: nobody noticed. Otherwise the error, translated:
connect, timeout, no server: could not be reached, did not answer in time, or at none of
its addresses; auth: sign in again; limit: asked too often; refused: not permitted;
answer: not understood; unknown: no such source or file; no media: the player sees that
it did not get it; log: removed all the same, and the log
says that the sign-out failed; new code: a new link code is offered."""


@dataclass(frozen=True)
class Cell:
    """What came of one fault at one place."""

    fault: str
    place: str
    seen: str | None
    passed: bool

    @property
    def text(self) -> str:
        """Return what there is to read."""
        return SHORT.get(self.seen, f"{self.seen}") if self.passed else FAILED


def render(cells: Iterable[Cell]) -> str:
    """Return the matrix: a row for each fault, a column for each place."""
    table: dict[str, dict[str, str]] = {}
    places: dict[str, None] = {}
    for cell in cells:
        table.setdefault(cell.fault, {})[cell.place] = cell.text
        places[cell.place] = None
    heads = {place: place.removeprefix("/security") for place in places}
    width = max(map(len, (*SHORT.values(), *heads.values()))) + 1
    margin = max(map(len, table)) + 1
    lines = [" " * margin + "".join(f"{head:<{width}}" for head in heads.values())]
    for fault, row in table.items():
        texts = (f"{row.get(place, ''):<{width}}" for place in places)
        lines.append(f"{fault:<{margin}}" + "".join(texts))
    return "\n".join(line.rstrip() for line in lines)
