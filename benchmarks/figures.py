"""Figures, what they should be, and how they are told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be at most, or at least."""

    bound: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Return if a figure is good enough."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {_short(self.bound)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A median with its spread over the rounds, or why there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    goal: Goal | None = None
    reason: str = ""


def at_most(bound: float) -> Goal:
    """Return the goal of something that should be small."""
    return Goal(bound)


def at_least(bound: float) -> Goal:
    """Return the goal of something that should be large."""
    return Goal(bound, at_least=True)


@dataclass(slots=True)
class Report:
    """All figures of a run by their name, such as client.sign_in."""

    figures: dict[str, Figure] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """What is measured, by part."""

    def add(
        self,
        name: str,
        rounds: Sequence[float],
        *,
        unit: str = "",
        goal: Goal | None = None,
    ) -> float:
        """Add what was measured in several rounds, and return its median."""
        value = median(rounds)
        self.figures[name] = Figure(
            value=value, low=min(rounds), high=max(rounds), unit=unit, goal=goal
        )
        _tell(name, self.figures[name])
        return value

    def add_missing(self, name: str, reason: str) -> None:
        """Add what cannot be measured."""
        self.figures[name] = Figure(value=None, reason=reason)
        _tell(name, self.figures[name])

    @property
    def missed(self) -> list[str]:
        """The names of the figures that are not good enough."""
        return [
            name
            for name, figure in self.figures.items()
            if figure.goal
            and figure.value is not None
            and not figure.goal.met_by(figure.value)
        ]

    def data(self) -> dict[str, Any]:
        """Return the figures as a tree, and beside it what belongs to them."""
        data: dict[str, Any] = {}
        for name, figure in self.figures.items():
            *path, last = name.split(".")
            branch = data
            for part in path:
                branch = branch.setdefault(part, {})
            branch[last] = figure.value
        return data | {
            "spread": {
                name: [figure.low, figure.high]
                for name, figure in self.figures.items()
                if figure.value is not None
            },
            "goals": {
                name: {"goal": str(figure.goal), "met": name not in self.missed}
                for name, figure in self.figures.items()
                if figure.goal
            },
            "reasons": {
                name: figure.reason
                for name, figure in self.figures.items()
                if figure.value is None
            },
            "notes": self.notes,
        }


def _tell(name: str, figure: Figure) -> None:
    """Print a row of the table."""
    if figure.value is None:
        print(f"  {name:54} {'-':>9}  {figure.reason}", flush=True)
        return
    assert figure.low is not None
    assert figure.high is not None
    spread = f"{_short(figure.low)} - {_short(figure.high)}"
    goal = ""
    if figure.goal:
        verdict = "met" if figure.goal.met_by(figure.value) else "MISSED"
        goal = f"goal {figure.goal}: {verdict}"
    value = f"{_short(figure.value)} {figure.unit}"
    print(f"  {name:54} {value:>13}  {spread:>19}  {goal}".rstrip(), flush=True)


def _short(value: float) -> str:
    """Return a number with three digits that matter."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
