"""Many look-ups at once, while things go wrong, and what they cost and leave behind."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
import gc
import os
from pathlib import Path
import random
import time
from typing import Any

from aiohttp import web
import pytest

from tests.plex_emulator import (
    Answer,
    Connection,
    Cut,
    Delay,
    Ending,
    Fault,
    Reply,
    Vanish,
    error,
)
from tests.plex_emulator.faults import RealAnswer
from tests.plex_emulator.replies import html_answer

from .places import key
from .world import World

CONCURRENCY = 64
FAULTY_SHARE = 0.05
RESTART_EVERY = 1000
# Seconds in which a call must be over, come what may.
PATIENCE = 60
SEED = 20

FAULTS: tuple[Fault, ...] = (
    error(500, kind="html"),
    error(503, kind="html"),
    error(429, code=1003, headers={"Retry-After": "60"}),
    error(401, code=1001),
    error(403, kind="html"),
    error(404, kind="html"),
    Reply(html_answer(200, "Welcome to wifi")),
    Reply(Answer(200, b'{"MediaContainer": {')),
    Reply(Answer(200)),
    Delay(0.2),
    Vanish(),
    Cut(),
    Cut(Ending.CLOSE),
    Vanish(Ending.SILENCE),
)


@dataclass(slots=True)
class Sometimes:
    """Let one of some faults happen to a share of the requests."""

    share: float
    dice: random.Random
    hits: int = 0

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Throw the dice."""
        if self.dice.random() >= self.share:
            return (await real()).response()
        self.hits += 1
        return await self.dice.choice(FAULTS).happen(request, real)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What there is when nothing happens."""

    tasks: int
    sockets: int
    objects: int
    megabytes: float

    @classmethod
    async def now(cls) -> Leftovers:
        """Count, after all that can go has gone."""
        gc.collect()
        tasks, objects = len(asyncio.all_tasks()), len(gc.get_objects())
        sockets, megabytes = await asyncio.to_thread(used)
        return cls(tasks=tasks, sockets=sockets, objects=objects, megabytes=megabytes)


def used() -> tuple[int, float]:
    """Return how many sockets and megabytes this process uses."""
    sockets = sum(map(is_socket, Path("/proc/self/fd").iterdir()))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return sockets, pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


def is_socket(descriptor: Path) -> bool:
    """Return if an open file is a socket."""
    try:
        return f"{descriptor.readlink()}".startswith("socket:")
    except FileNotFoundError:
        # That by which the list was read.
        return False


@dataclass(slots=True)
class Stopwatch:
    """The processor time of the longest callback, in milliseconds.

    No other process can prolong it.
    """

    callback: float = 0
    culprit: str = ""

    @contextmanager
    def measure_callbacks(self) -> Generator[None]:
        """Measure everything that the event loop runs."""
        run: Callable[[asyncio.Handle], None] = asyncio.Handle._run

        def measured(handle: asyncio.Handle) -> None:
            start = time.thread_time()
            run(handle)
            took = (time.thread_time() - start) * 1000
            if took > self.callback:
                self.callback = took
                self.culprit = repr(handle)[:100]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", measured)
            yield


@dataclass(slots=True)
class Figures:
    """What came of it."""

    lookups: int
    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    faults: int = 0
    restarts: int = 0
    seconds: float = 0
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    before: Leftovers | None = None
    after: Leftovers | None = None

    def __str__(self) -> str:
        """Return them for people."""
        assert self.before
        assert self.after
        before, after, watch = self.before, self.after, self.stopwatch
        errors = ", ".join(
            f"{count} {name}" for name, count in self.errors.most_common()
        )
        return f"""\
{self.lookups:,} look-ups, {CONCURRENCY} at once, in {self.seconds:.0f} s
{self.answers:,} answers and {self.errors.total()} errors: {errors or "none"}
{self.requests:,} requests, {self.faults:,} with a fault; {self.restarts} restarts
tasks: {before.tasks} before, {after.tasks} after
sockets: {before.sockets} before, {after.sockets} after
objects: {before.objects:,} before, {after.objects:,} after
memory: {before.megabytes:.1f} MB before, {after.megabytes:.1f} MB after
longest callback: {watch.callback:.1f} ms of processor time, {watch.culprit}"""


class Soak:
    """A world in which there is a lot to do."""

    def __init__(self, world: World, lookups: int) -> None:
        """Prepare to do it."""
        self.world = world
        self.dice = random.Random(SEED)
        self.fault = Sometimes(FAULTY_SHARE, self.dice)
        self.figures = Figures(lookups)
        self.restart_every = min(RESTART_EVERY, lookups // 4)
        self.restarting = asyncio.Lock()

    async def run(self) -> Figures:
        """Do it, and return what came of it."""
        plex, figures = self.world.plex, self.figures
        await self.prepare()
        # What is made once, and then kept, is no growth.
        await self.look_up_many(max(CONCURRENCY, figures.lookups // 20))
        await self.rest()
        figures.answers = figures.requests = figures.restarts = self.fault.hits = 0
        figures.errors.clear()
        gc.collect()
        gc.freeze()
        try:
            figures.before = await Leftovers.now()
            start = time.perf_counter()
            with figures.stopwatch.measure_callbacks():
                await self.look_up_many(figures.lookups)
            figures.seconds = time.perf_counter() - start
            await self.rest()
            figures.faults = self.fault.hits
            figures.after = await Leftovers.now()
        finally:
            gc.unfreeze()
        plex.faults.clear()
        return figures

    async def prepare(self) -> None:
        """Let there be a shared server, too, and begin to fail."""
        plex = self.world.plex
        grace = plex.add_account("grace", password=None)
        library = await plex.add_server("Library", owner=grace)
        library.listing.connections = [Connection.at(library.url)]
        plex.share(library, self.world.ada, public_address_matches=True)
        await self.world.set_up()
        self.calls: tuple[Callable[[], Awaitable[Any]], ...] = (
            self.world.look_up,
            lambda: self.world.look_up(probe=False),
            lambda: self.look_up(f"server://{library.machine_identifier}"),
            lambda: self.look_up("provider://tv.plex.provider.podcasts"),
        )
        plex.faults.add(self.fault)

    async def look_up(self, source: str) -> object:
        """Ask whoever knows."""
        return await self.world.call("get_source_connection_information", source=source)

    async def look_up_many(self, count: int) -> None:
        """Look sources up, and let the server restart from time to time."""
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as group:

            async def work() -> None:
                for number in numbers:
                    if number % self.restart_every == self.restart_every // 2:
                        group.create_task(self.restart())
                    async with asyncio.timeout(PATIENCE):
                        seen = await key(self.dice.choice(self.calls)())
                    if seen:
                        self.figures.errors[seen] += 1
                    else:
                        self.figures.answers += 1

            for _ in range(CONCURRENCY):
                group.create_task(work())

    async def restart(self) -> None:
        """Let the server restart, and the emulator forget what it remembers."""
        async with self.restarting:
            self.figures.restarts += 1
            await self.world.attic.restart()
            self.forget()

    def forget(self) -> None:
        """Let the emulator not grow."""
        plex = self.world.plex
        self.figures.requests += len(plex.requests)
        plex.requests.clear()
        plex.secrets.clear()
        for server in plex.servers:
            server._transient.clear()

    async def rest(self) -> None:
        """Let all connections be closed, and all that was started come to its end."""
        self.fault.share = 0
        await self.world.settle()
        flows = self.world.hass.config_entries.flow
        for flow in flows.async_progress():
            flows.async_abort(flow["flow_id"])
        plex = self.world.plex
        for host in (plex.tv, *plex.servers):
            await host.stop()
            await host.start()
        await self.world.account.async_refresh()
        await self.world.server.async_refresh()
        await self.world.settle()
        for server in self.world.account.servers.values():
            # It is up to chance when it would listen again.
            await server.async_hang_up()
        for host in (plex.tv, *plex.servers):
            await host.stop()
            await host.start()
        await asyncio.sleep(0.1)
        self.forget()
        self.fault.share = FAULTY_SHARE
