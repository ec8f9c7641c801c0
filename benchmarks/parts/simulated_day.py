"""Days in the life of a Home Assistant, each in seconds.

Run by quiet_day: python -m benchmarks.parts.simulated_day
"""

import asyncio
from unittest.mock import patch

from benchmarks.emulator import emulated
from benchmarks.home_assistant import account_in, home_assistant
from benchmarks.serving import serve_async
from benchmarks.simulated_time import SimulatedDatetime, let_pass, run_simulated
from custom_components.plex_account.api import http, server

# Seconds.
MINUTE = 60
DAY = 24 * 60 * MINUTE
NIGHT = 8 * 60 * MINUTE


async def _count(
    servers: int, days: int, *, nights: bool = False
) -> list[list[tuple[str, str, int]]]:
    """Return for each day how often each host is asked for each path."""
    rows = []
    async with (
        emulated(servers=servers) as world,
        home_assistant() as hass,
        account_in(hass, world),
    ):
        # The sockets are not waited for by anybody else.
        await asyncio.sleep(1)
        await let_pass(hass, MINUTE)
        await world.count_requests()
        for _ in range(days):
            if nights:
                await world.set_asleep(asleep=True)
                await asyncio.sleep(1)
                await let_pass(hass, NIGHT)
                await world.set_asleep(asleep=False)
            await let_pass(hass, DAY - NIGHT if nights else DAY)
            counts = await world.count_requests()
            rows.append([(host, path, count) for (host, path), count in counts.items()])
    return rows


if __name__ == "__main__":
    with (
        # What tells the age of a transient token.
        patch.object(server, "datetime", SimulatedDatetime),
        # A pong takes real time, for which this clock does not wait.
        patch.object(http, "HEARTBEAT", None),
    ):
        run_simulated(serve_async({"count": _count}))
