"""The connection that works among black holes, and many servers at once.

Every answer is 50 ms away. Of a server's ten addresses eight never answer and one
refuses, half of the black holes being local; the good one is local. Time is up after
two round trips and 250 ms.
"""

import asyncio
import ssl
import time

from aiohttp import ClientSession, TCPConnector

from benchmarks.emulator import CLIENT_IDENTIFIER, World, emulated
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import home_assistant
from benchmarks.measuring import verify
from benchmarks.operations import identity
from benchmarks.parts.setup import LATENCY, measure_set_up
from custom_components.plex_account.api import (
    PlexTvClient,
    probe_connections,
    usable_connections,
)

HOLES = 8
ROUNDS = 9
# Milliseconds.
LIMIT = 2 * 50 + 250
SERVERS = 50


async def run(report: Report) -> None:
    """Measure with the good one at HTTPS, at plain HTTP, and with many servers."""
    for name, tls in (("https", True), ("http", False)):
        async with emulated(holes=HOLES, tls=tls) as world:
            report.add(
                f"connections.settled_ms.{name}",
                [1000 * seconds for seconds in await _settle(world, name)],
                goal=at_most(LIMIT),
            )
    async with home_assistant() as hass, emulated(servers=SERVERS) as world:
        await measure_set_up(report, hass, world, prefix="connections.")


async def _settle(world: World, protocol: str) -> list[float]:
    """Return the seconds until it is known which connection to use."""
    context = ssl.create_default_context(cadata=world.certificates)
    who = identity(CLIENT_IDENTIFIER)
    seconds = []
    for number in range(ROUNDS):
        # A new one each time, so that no connection is there already.
        async with ClientSession(connector=TCPConnector(ssl=context)) as session:
            if number == 0:
                tv = PlexTvClient(session, who, token=world.token, server_url=world.url)
                (resource,) = await tv.get_servers()
                verify(right=len(resource.connections) == HOLES + 2)
                await world.set_latency(LATENCY)
            start = time.perf_counter()
            outcome = await probe_connections(
                session,
                who,
                resource.client_identifier,
                usable_connections(resource.connections, resource),
                https_required=False,
            )
            seconds.append(time.perf_counter() - start)
        best = outcome.best
        verify(right=best is not None and best.connection.protocol == protocol)
        verify(right=len(asyncio.all_tasks()) == 1)
    return seconds
