"""A clock that jumps to the next timer as soon as nothing is left to do."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self, override
from unittest.mock import patch

from aiohttp import connector

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop, and with it all timers, on a clock that can be moved on."""

    ahead = 0.0

    @override
    def time(self) -> float:
        return super().time() + self.ahead

    def next_timer(self) -> float:
        """Return when the next timer is due."""
        timers: list[asyncio.TimerHandle] = vars(self)["_scheduled"]
        return min(
            (timer.when() for timer in timers if not timer.cancelled()),
            default=self.time(),
        )


class SimulatedDatetime(datetime):
    """The time of day on that clock."""

    @classmethod
    @override
    def now(cls, tz: tzinfo | None = None) -> Self:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return super().now(tz) + timedelta(seconds=loop.ahead)


def run_simulated(main: Coroutine[Any, Any, None]) -> None:
    """Run a program whose time is simulated, as far as the helpers we use go.

    One of them is aiohttp's, which closes connections that nobody uses.
    """
    with (
        patch.object(dt_util, "utcnow", lambda: SimulatedDatetime.now(UTC)),
        patch.object(connector, "monotonic", lambda: asyncio.get_running_loop().time()),
        asyncio.Runner(loop_factory=SimulatedLoop) as runner,
    ):
        runner.run(main)


async def let_pass(hass: HomeAssistant, seconds: float) -> None:
    """Let time pass, from one timer to the next, each time until nothing is left to do.

    What takes real time, as requests do, takes it on this clock as well.
    """
    loop = hass.loop
    assert isinstance(loop, SimulatedLoop)
    end = loop.time() + seconds
    while (now := loop.time()) < end:
        loop.ahead += max(0.0, min(end, loop.next_timer()) - now)
        # A turn for the timer, and others for what it begins.
        for _ in range(3):
            await asyncio.sleep(0)
        await hass.async_block_till_done(wait_background_tasks=True)
