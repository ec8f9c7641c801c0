"""The connection that works among black holes, and many servers at once.

Every answer is 50 ms away. Of a server's ten addresses eight never answer and one
refuses, half of the black holes being local; the good one is local, and has a
certificate. Time is up after two round trips and 250 ms.
"""

import asyncio
import time

from benchmarks.emulator import CLIENT_IDENTIFIER, World, emulated
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import home_assistant
from benchmarks.measuring import verify
from benchmarks.operations import identity
from benchmarks.parts.setup import LATENCY, measure_set_up
from custom_components.plex_account.api import (
    PlexTvClient,
    plain_http,
    probe_connections,
    usable_connections,
)

HOLES = 8
ROUNDS = 9
# Milliseconds.
LIMIT = 2 * 50 + 250
SERVERS = 50


async def run(report: Report) -> None:
    """Measure with one server, and with many."""
    async with emulated(holes=HOLES) as world:
        report.add(
            "connections.settled_ms.https",
            [1000 * seconds for seconds in await _settle(world)],
            goal=at_most(LIMIT),
        )
    async with home_assistant() as hass, emulated(servers=SERVERS) as world:
        await measure_set_up(report, hass, world, prefix="connections.")


async def _settle(world: World) -> list[float]:
    """Return the seconds until it is known which connection to use."""
    who = identity(CLIENT_IDENTIFIER)
    seconds = []
    for number in range(ROUNDS):
        # A new one each time, so that no connection is there already.
        async with world.session() as session:
            if number == 0:
                tv = PlexTvClient(session, who, token=world.token, server_url=world.url)
                (resource,) = (await tv.get_servers()).servers
                plain = plain_http(resource, https_worked=False)
                verify(right=len(resource.connections) == HOLES + 2)
                await world.set_latency(LATENCY)
            start = time.perf_counter()
            outcome = await probe_connections(
                session,
                who,
                resource.client_identifier,
                usable_connections(resource.connections, resource, plain),
                plain,
            )
            seconds.append(time.perf_counter() - start)
        best = outcome.best
        verify(right=best is not None and best.connection.protocol == "https")
        verify(right=len(asyncio.all_tasks()) == 1)
    return seconds
