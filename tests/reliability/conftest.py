"""Fixtures of the reliability tests, and the option for the whole fault table."""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import settings
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.plex_account import server_coordinator
from homeassistant.core import HomeAssistant
from tests import perform
from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
)

from .matrix import CELL, LEGEND, REPORT, Cell, render
from .world import Call, World

if TYPE_CHECKING:
    from .cases import Case

settings.register_profile("thorough", max_examples=1000)
CELLS = pytest.StashKey[dict[str, Cell]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options, known only where this folder is named on the command line."""
    parser.addoption(
        "--faults", action="store_true", help="test and print the whole fault table"
    )
    parser.addoption("--lookups", type=int, help="how many look-ups test_soak does")


@pytest.fixture
def call(hass: HomeAssistant, config_entry: MockConfigEntry) -> Call:
    """Return what calls an action of Ada's account."""
    return partial(perform, hass, config_entry_id=config_entry.entry_id)


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server be looked for each time that somebody wants something of it."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what came of a cell of the fault table, in all phases of its test."""
    report = yield
    cells = item.config.stash.setdefault(CELLS, {})
    for name, value in item.user_properties:
        if name == CELL:
            assert isinstance(value, tuple)
            fault, place, seen = value
            before = cells.get(item.nodeid)
            passed = report.passed and (before is None or before.passed)
            cells[item.nodeid] = Cell(fault, place, seen, passed)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the fault table, or the figures of many look-ups."""
    if report := config.stash.get(REPORT, None):
        terminalreporter.section("soak")
        terminalreporter.write_line(report)
    cells = config.stash.get(CELLS, {})
    if cells and config.getoption("--faults", default=False):
        terminalreporter.section("fault table")
        terminalreporter.write_line(render(cells.values()))
        terminalreporter.write_line("")
        terminalreporter.write_line(LEGEND)
        passed = sum(cell.passed for cell in cells.values())
        terminalreporter.write_line(f"\n{passed} of {len(cells)} cells passed")


@pytest.fixture
def case() -> Case | None:
    """Return the fault that a test is about, if it is one of the table."""
    return None


@pytest.fixture
async def world(
    hass: HomeAssistant,
    names: None,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    resolver: LoopbackResolver,
    authority: CertificateAuthority,
    hass_client_no_auth: ClientSessionGenerator,
    case: Case | None,
) -> World:
    """Return a Plex with names, and with certificates if a fault is about those."""
    world = World(
        hass=hass,
        plex=plex,
        ada=ada,
        attic=attic,
        resolver=resolver,
        authority=authority,
        secure=case is not None and case.secure,
        new_player=hass_client_no_auth,
    )
    await world.begin()
    return world


@pytest.fixture
async def ready(world: World) -> World:
    """Return a world in which Ada's account is set up, and nothing was asked since."""
    await world.set_up()
    world.plex.requests.clear()
    return world
