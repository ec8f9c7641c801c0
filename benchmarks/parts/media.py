"""Files through Home Assistant, beside the same through a bare aiohttp proxy.

Server, players and Home Assistant are a process each, the last on a core of its own.
The proxy runs in that of Home Assistant, and hands on what comes as it comes.
`throughput` is how many times as many bytes a second as the proxy's, `straight` the
proxy's beside the server's own, `cpu` how much more CPU time of the process a byte
takes, `first_byte` how much later it comes. `stall_ms` is for how long nothing else ran
while 32 players fetched, `memory_kb` how much more memory each of them took than one
alone. `page_ms` is the time to open a library of 50,000 films, or a page of it, above
that of the server.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
import os
from pathlib import Path
import random
from statistics import median
import time

from aiohttp import ClientSession, web

from benchmarks.emulator import World, emulated
from benchmarks.figures import Report, at_least, at_most
from benchmarks.home_assistant import DOMAIN, account_in, home_assistant
from benchmarks.measuring import verify
from benchmarks.process import Child
from custom_components.plex_account.media_source import async_get_media_source
from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.media_source import MediaSourceItem
from homeassistant.core import HomeAssistant

ROUNDS = 7
LEVELS = (1, 32)
# How often the file is fetched in a round, by all players together.
FETCHES = 32
MEGABYTES = 64
FILMS = 50_000
FIRST_BYTES = 100
FILE = "/library/parts/10/1700000000/file.mp4"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the file."""

    url: str
    headers: dict[str, str]
    certificates: str = ""


@asynccontextmanager
async def served(app: web.Application) -> AsyncGenerator[str]:
    """Serve an application, and return where."""
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def proxy(session: ClientSession, world: World) -> web.Application:
    """Return a proxy that does no more than it must."""
    url = f"{world.first.server_url}{FILE}"
    token = {"X-Plex-Token": world.first.server_token}

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = token | {
            name: request.headers[name]
            for name in ("Range",)
            if name in request.headers
        }
        async with session.get(url, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    app = web.Application()
    app.router.add_get("/", handle)
    return app


async def run(report: Report) -> None:
    """Let players fetch by each way in turn."""
    async with AsyncExitStack() as stack:
        cores = os.sched_getaffinity(0)
        stack.callback(os.sched_setaffinity, 0, cores)
        # Server and players share a core, and what is measured has one of its own.
        os.sched_setaffinity(0, {min(cores)})
        world = await stack.enter_async_context(emulated())
        await world.child("stock", films=FILMS, megabytes=MEGABYTES)
        players = await stack.enter_async_context(Child.module("players"))
        os.sched_setaffinity(0, {max(cores)})
        hass = await stack.enter_async_context(home_assistant())
        entry = await stack.enter_async_context(account_in(hass, world))
        session = await stack.enter_async_context(world.session())
        ours = await stack.enter_async_context(served(hass.http.app))
        bare = await stack.enter_async_context(served(proxy(session, world)))
        place = f"{entry.unique_id}/{world.first.machine_identifier}"
        path = async_sign_path(
            hass,
            f"/api/plex_account/{place}{FILE}",
            timedelta(hours=1),
            use_content_user=True,
        )
        token = {"X-Plex-Token": world.first.server_token}
        straight = Way(f"{world.first.server_url}{FILE}", token, world.certificates)
        ways = [Way(f"{ours}{path}", {}), Way(f"{bare}/", {}), straight]
        for level in LEVELS:
            await _throughput(report, players, ways, level)
        await _first_byte(report, players, ways)
        await _pages(report, hass, world, session, place)


async def _throughput(
    report: Report, players: Child, ways: list[Way], level: int
) -> None:
    """Measure how fast so many players get the file by each way."""
    rates: list[list[float]] = [[] for _ in ways]
    cpu: list[list[float]] = [[] for _ in ways]
    stalls: list[float] = []
    memory: list[float] = []
    for way in ways:
        await _fetch(players, way, 1, 1)
    for _ in range(ROUNDS):
        # In a fixed order each would pay for what the one before it has left.
        for index in random.sample(range(len(ways)), len(ways)):
            way = ways[index]
            before, used = _resident(), time.process_time()
            async with _stall() as stall:
                seconds, size = await _fetch(players, way, level, FETCHES // level)
            rates[index].append(size / seconds)
            cpu[index].append((time.process_time() - used) / size)
            if index == 0:
                stalls.append(stall[0])
                memory.append((_resident() - before) / level)
            verify(right=size == FETCHES * MEGABYTES * 1024 * 1024)
    ours, bare, straight = rates
    report.add(
        f"media.throughput.{level}",
        [a / b for a, b in zip(ours, bare, strict=True)],
        goal=at_least(0.95),
    )
    report.add(
        f"media.straight.{level}", [a / b for a, b in zip(bare, straight, strict=True)]
    )
    report.add(f"media.rate.{level}", [rate / 1e6 for rate in ours], unit="MB/s")
    if level == LEVELS[-1]:
        report.add(
            "media.cpu",
            [a / b for a, b in zip(cpu[0], cpu[1], strict=True)],
            goal=at_most(1.1),
        )
        report.add("media.stall_ms", stalls, unit="ms", goal=at_most(20))
        report.add("media.memory_kb", memory, unit="kB")


async def _first_byte(report: Report, players: Child, ways: list[Way]) -> None:
    """Measure how soon something comes."""
    rounds: list[list[float]] = [[] for _ in ways]
    for _ in range(ROUNDS):
        for index in random.sample(range(len(ways)), len(ways)):
            way = ways[index]
            taken = await players(
                "first_byte",
                url=way.url,
                count=FIRST_BYTES,
                headers=way.headers,
                certificates=way.certificates,
            )
            rounds[index].append(median(taken))
    ours, bare, _ = rounds
    report.add(
        "media.first_byte",
        [a / b for a, b in zip(ours, bare, strict=True)],
        goal=at_most(1.5),
    )
    report.add("media.first_byte_ms", [1000 * each for each in ours], unit="ms")


async def _pages(
    report: Report,
    hass: HomeAssistant,
    world: World,
    session: ClientSession,
    place: str,
) -> None:
    """Measure how long a page of a long library takes beside the server's own time."""
    source = await async_get_media_source(hass)
    section = "library/sections/1"
    headers = {
        "X-Plex-Token": world.first.server_token,
        "Accept": "application/json",
        "X-Plex-Container-Start": "0",
        "X-Plex-Container-Size": "100",
    }
    pages = {
        "section/1": ["library/sections", f"{section}/firstCharacter"],
        "section/1/A": [
            "library/sections",
            f"{section}/firstCharacter",
            f"{section}/firstCharacter/A",
        ],
    }
    extra = []
    for page, paths in pages.items():
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for path in paths:
                url = f"{world.first.server_url}/{path}"
                async with session.get(url, headers=headers) as answer:
                    await answer.read()
            between = time.perf_counter()
            item = MediaSourceItem(hass, DOMAIN, f"{place}/{page}", None)
            node = await source.async_browse_media(item)
            end = time.perf_counter()
            verify(right=bool(node.children))
            extra.append(1000 * ((end - between) - (between - start)))
    report.add("media.page_ms", extra, unit="ms", goal=at_most(60))


async def _fetch(players: Child, way: Way, count: int, times: int) -> tuple[float, int]:
    """Let players fetch the file, each so many times."""
    seconds, size = await players(
        "fetch",
        url=way.url,
        players=count,
        times=times,
        headers=way.headers,
        certificates=way.certificates,
    )
    return seconds, size


@asynccontextmanager
async def _stall() -> AsyncGenerator[list[float]]:
    """Find out for how many milliseconds nothing else could run.

    Counted is the time of this thread: while it does not run at all, it is others that
    take what this machine has.
    """
    longest = [0.0]

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.001)
            # Not the pause: where there is much to do it ends a round late, and others
            # have run meanwhile.
            start = time.thread_time()
            await asyncio.sleep(0)
            longest[0] = max(longest[0], 1000 * (time.thread_time() - start))

    task = asyncio.create_task(tick())
    yield longest
    # What ends the measurement counts as well.
    await asyncio.sleep(0.01)
    task.cancel()


def _resident() -> float:
    """Return the memory of this process, in kB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4.0
