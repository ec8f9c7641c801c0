"""The fault table: each fault at each place where it can strike.

With --faults all of it runs, and is printed; without, each fault strikes at one place,
and each place is struck by every eighteenth fault.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest

from custom_components.plex_account import identity, pins, server_coordinator
from custom_components.plex_account.api import connections, http
from tests import unexpected

from .cases import CASES, ELSEWHERE, Case
from .effects import Effect
from .matrix import CELL
from .places import PLACES, Place
from .world import World


def cells(*, every: bool) -> list[tuple[Case, type[Place]]]:
    """Return the cells of the table to test."""
    return [
        (case, place)
        for row, case in enumerate(CASES)
        for column, place in enumerate(PLACES)
        if every or column == row % len(PLACES)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the cells of the table."""
    chosen = cells(every=metafunc.config.getoption("--faults", default=False))
    metafunc.parametrize(
        ("case", "place_type"),
        chosen,
        ids=[f"{place.name}: {case.name}" for case, place in chosen],
    )


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt, or another look at a link code."""
    monkeypatch.setattr(server_coordinator, "ACCOUNT_COOLDOWN", 0.01)
    monkeypatch.setattr(pins, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(pins, "POLL_MAX_INTERVAL", 0.01)


@contextmanager
def impatience(effect: Effect) -> Generator[None]:
    """Where nothing answers, give up soon."""
    with pytest.MonkeyPatch.context() as patch:
        if effect is Effect.TIMEOUT:
            patch.setattr(http, "TOTAL_TIMEOUT", 0.3)
            patch.setattr(connections, "PROBE_TIMEOUT", 0.4)
            patch.setattr(identity, "SIGN_OUT_TIMEOUT", 0.2)
        yield


async def test_fault(
    world: World,
    case: Case,
    place_type: type[Place],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The right error is seen, nothing is forgotten, and all comes back by itself."""
    record_property(CELL, (case.name, place_type.name, None))
    place = place_type(world, caplog, monkeypatch)
    await place.prepare()
    registered, known = place.registered(), place.known()

    with impatience(case.effect):
        async with case.strike(world, place):
            seen = await place.act()
            record_property(CELL, (case.name, place.name, seen))
            assert seen == place.expected(case.effect)
            place.check_while(seen)
            assert place.registered() == registered
            if seen:
                assert place.known() == known

    assert await place.again() is None
    await world.settle()
    place.check_after()
    assert place.registered() == registered
    assert not world.plex.requests.matching(path=ELSEWHERE)
    assert not unexpected(caplog.records)
