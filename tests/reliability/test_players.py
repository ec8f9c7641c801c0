"""Tests of many players, and of some that behave badly."""

import asyncio

import pytest

from tests import until
from tests.plex_emulator import Endless

from .places import MediaPlace, Part, Segment
from .soak import Leftovers
from .world import World

PLAYERS = 200
AT_ONCE = 20
RANGES = 10
MEGABYTE = 1024 * 1024
# What the buffers of four sockets and two programs hold; the file has no end.
MAX_UNDER_WAY = 64 * MEGABYTE
MORE_MEGABYTES = 20


@pytest.fixture(params=[Part, Segment], ids=["part", "segment"])
async def place(
    request: pytest.FixtureRequest,
    world: World,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> MediaPlace:
    """Return where players fetch."""
    kind: type[MediaPlace] = request.param
    place = kind(world, caplog, monkeypatch)
    await place.prepare()
    return place


async def test_players_leave(
    place: MediaPlace, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is left of two hundred players that begin and leave."""
    world, file = place.world, Endless()
    rule = world.plex.faults.add(file, path=place.path)

    # A test's client keeps all answers, its session does not.
    session, url = place.player.session, place.player.make_url(place.url)

    async def begin_and_leave(number: int) -> None:
        async with session.get(url) as answer:
            await answer.content.readexactly(1 + 1000 * number)
            answer.close()

    async def crowd() -> None:
        for first in range(0, PLAYERS, AT_ONCE):
            numbers = range(first, first + AT_ONCE)
            await asyncio.gather(*map(begin_and_leave, numbers))
        await until(lambda: file.running == 0)
        await world.settle()
        caplog.clear()
        world.plex.requests.clear()

    # The first have memory made, which the system does not get back.
    await crowd()
    before = await Leftovers.now()
    await crowd()
    after = await Leftovers.now()
    assert rule.hits == 2 * PLAYERS
    assert after.tasks <= before.tasks
    assert after.sockets <= before.sockets
    assert after.megabytes < before.megabytes + MORE_MEGABYTES
    world.plex.faults.remove(rule)
    assert await place.fetch(place.url) is None


async def test_slow_player(place: MediaPlace) -> None:
    """What a player does not take is not fetched either, and others are not held up."""
    file = Endless()
    rule = place.world.plex.faults.add(file, path=place.path, times=1)
    async with place.player.get(place.url) as answer:
        for _ in range(3):
            await answer.content.readexactly(1)
            await asyncio.sleep(0.1)
        sent = -1
        while file.sent > sent:
            sent = file.sent
            assert sent < MAX_UNDER_WAY
            await asyncio.sleep(0.1)
        assert file.running == 1
        assert await place.fetch(place.url) is None
        answer.close()
    await until(lambda: file.running == 0)
    assert rule.hits == 1


@pytest.mark.parametrize("place", [Part], indirect=True)
async def test_ranges_at_once(place: MediaPlace) -> None:
    """A player may fetch a file from many ends."""
    whole = bytes(range(250)) * 4000
    (section,) = place.world.attic.library.sections
    section.entries[0].files = [("film.mp4", whole)]
    size = len(whole) // RANGES

    async def fetch(start: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + size - 1}"}
        async with place.player.get(place.url, headers=headers) as answer:
            return await answer.read()

    parts = await asyncio.gather(*map(fetch, range(0, len(whole), size)))
    assert len(parts) == RANGES
    assert b"".join(parts) == whole
