"""Many look-ups at once, while things go wrong: a few, or as many as are wanted.

scripts/soak --lookups does as many as one wants.
"""

import asyncio
import logging

import pytest

from custom_components.plex_account import push, server_coordinator
from custom_components.plex_account.api import connections, http
from homeassistant import block_async_io
from tests import until

from .matrix import REPORT
from .places import key
from .soak import RESTART_EVERY, Leftovers, Soak
from .world import World

LOOKUPS = 1000
RESTARTS = 200
# Connections that those who asked last may keep: two callers, a poll, the account.
KEPT = 4
# Milliseconds for which nothing may keep the event loop from going on.
MAX_CALLBACK = 50
# What may be more at the end: what some library keeps for the next time.
MORE_OBJECTS = 2000
MORE_MEGABYTES = 20


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Do not wait long for what does not come, and do not write a book about it."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 2)
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 1)
    # Else a server may be asked once more while what is left is counted.
    monkeypatch.setattr(server_coordinator, "ACCOUNT_COOLDOWN", 0.01)
    caplog.set_level(logging.CRITICAL, "custom_components.plex_account")
    # Last, as that is also what is recorded of others.
    caplog.set_level(logging.WARNING)


async def test_restarts(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 restarts leave neither tasks nor sockets, and two lines each at the most."""
    for module, name in (
        (server_coordinator, "DOWN_INTERVAL"),
        (server_coordinator, "MAX_DOWN_INTERVAL"),
        (push, "MIN_PAUSE"),
        # Else what is doubled with each restart is too long for who waits at the end.
        (push, "MAX_PAUSE"),
    ):
        monkeypatch.setattr(module, name, 0.01)
    caplog.set_level(logging.INFO, "custom_components.plex_account")
    await world.set_up()
    sockets = world.attic.push.sockets
    await until(lambda: bool(sockets))
    before = await Leftovers.now()
    caplog.clear()
    for _ in range(RESTARTS):
        calls = [asyncio.create_task(key(world.look_up())) for _ in range(2)]
        await world.attic.restart()
        await asyncio.gather(*calls)
    await until(lambda: world.server.data.reachable and len(sockets) == 1)

    def renewed() -> bool:
        """Tell whether the token is one that the server knows."""
        tokens = {token.text for token in world.attic.transient_tokens}
        token = world.server.data.token
        return token is not None and token.token in tokens

    await until(renewed)
    await world.settle()
    # Of each there is who handles it at its other end, which has a socket, too.
    await until(lambda: len(asyncio.all_tasks()) <= before.tasks + KEPT)
    after = await Leftovers.now()
    assert after.sockets <= before.sockets + 2 * KEPT
    ours = [r for r in caplog.records if r.name.startswith("custom_components.plex")]
    assert len(ours) <= 2 * RESTARTS


@pytest.mark.usefixtures("disable_block_async_io")
@pytest.mark.timeout(3600)
async def test_soak(
    world: World,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every call comes to an end that is understood, and nothing is left behind."""
    wanted = request.config.getoption("--lookups", default=None)
    soak = Soak(world, wanted or LOOKUPS)
    # All that Home Assistant looks for, not just what it looks for in tests.
    monkeypatch.setattr(block_async_io, "_IN_TESTS", False)
    block_async_io.enable()

    figures = await soak.run()
    if wanted:
        request.config.stash[REPORT] = str(figures)

    assert figures.answers + figures.errors.total() == figures.lookups
    assert "unexpected_error" not in figures.errors
    # All who wait for a server together fail together, which luck decides.
    assert figures.answers > figures.lookups / 2
    assert figures.faults > figures.requests * 0.03
    assert figures.restarts >= figures.lookups // RESTART_EVERY
    assert figures.restarts >= 4
    assert figures.before
    assert figures.after
    assert figures.after.tasks <= figures.before.tasks
    assert figures.after.sockets <= figures.before.sockets
    assert figures.after.objects < figures.before.objects + MORE_OBJECTS
    if wanted:
        # Of the whole process, where other tests would be seen, and of the machine.
        assert figures.after.megabytes < figures.before.megabytes + MORE_MEGABYTES
        assert figures.stopwatch.callback < MAX_CALLBACK, figures.stopwatch.culprit
    assert "blocking call" not in caplog.text
    await world.server.async_refresh()
    assert world.server.data.reachable
