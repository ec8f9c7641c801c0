"""Faults that do something to the world while a request is on its way."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from tests.plex_emulator import Fault, MediaServer
from tests.plex_emulator.faults import RealAnswer


@dataclass(slots=True)
class Beside:
    """Answer a request truly, and do something first, or before the next can come."""

    happens: Callable[[], object]
    first: bool

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Let it happen."""
        if self.first:
            self.happens()
        answer = await real()
        if not self.first:
            self.happens()
        return answer.response()


@dataclass(slots=True)
class Hold:
    """Keep a request waiting until it may go on, and tell that it has come.

    If it is `answered`, it was in time, and only its answer is late.
    """

    answered: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Wait, then answer truly."""
        answer = await real() if self.answered else None
        self.arrived.set()
        await self.released.wait()
        return (answer or await real()).response()


@dataclass(slots=True)
class Restart:
    """Let a server restart: its connections and transient tokens are lost."""

    server: MediaServer
    restart: asyncio.Task[None] | None = None

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Wait for the end, which is when the server stops."""
        self.restart = asyncio.create_task(self.server.restart())
        await asyncio.get_running_loop().create_future()
        return web.Response()


@dataclass(slots=True)
class Nth:
    """Let something happen to one request only."""

    number: int
    fault: Fault
    count: int = -1

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Let it happen if it is this one's turn."""
        self.count += 1
        if self.count == self.number:
            return await self.fault.happen(request, real)
        return (await real()).response()
