"""Setting a known account up with every answer 50 ms away, beside python-plexapi.

In round trips, each what a bare request takes at that distance, which is a little more
than 50 ms. `setup_network` is the part until all servers are known to work: what
follows is Home Assistant adding four entities for each. And how many times as long
python-plexapi takes to connect to all servers, one `resource.connect()` after the other
as its users do; `_threads` calls 32 of them at once. With `_holes`, four of six
addresses of each server never answer; python-plexapi waits for all of them, and is told
to give up after a second rather than its usual 30.
"""

import gc
from statistics import median
import time
from typing import Any
from unittest.mock import patch

from benchmarks.emulator import World, emulated
from benchmarks.figures import Report, at_least, at_most
from benchmarks.home_assistant import account_in, home_assistant
from benchmarks.measuring import time_rows_async, verify
from benchmarks.operations import Floor
from benchmarks.peers import start as peers
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

LATENCY = 0.05
ROUNDS = 7
TRIPS = 15
PEER_ROUNDS = {1: 5, 10: 3, 50: 2}
GOALS = {1: 2 * 1.1, 10: 2 * 1.1, 50: 2 * 1.3}
HOLES = 4
# Seconds.
PEER_TIMEOUT = 1
PEER_THREADS = 32


async def run(report: Report) -> None:
    """Measure each size of an account."""
    async with home_assistant() as hass:
        for servers in (1, 10, 50):
            async with emulated(servers=servers) as world:
                ours = await measure_set_up(report, hass, world)
                await _measure_peer(report, world, ours)
        for servers in (1, 10):
            async with emulated(servers=servers, holes=HOLES) as world:
                ours = [seconds for _, seconds in await _set_up(hass, world)]
                async with peers.plexapi(world.first) as peer:
                    taken = await peer("connect", timeout=PEER_TIMEOUT, threads=1)
                report.add(f"setup_holes_ms.{servers}", [1000 * own for own in ours])
                report.add(
                    f"setup_vs_plexapi_holes.{servers}", [taken / own for own in ours]
                )


async def measure_set_up(
    report: Report, hass: HomeAssistant, world: World, *, prefix: str = ""
) -> list[float]:
    """Add the round trips that setting up takes, and return its seconds."""
    servers = len(world.servers)
    taken = await _set_up(hass, world)
    trip = await _round_trip(world)
    report.add(f"{prefix}round_trip_ms.{servers}", [1000 * trip])
    report.add(
        f"{prefix}setup_network.{servers}", [network / trip for network, _ in taken]
    )
    report.add(
        f"{prefix}setup_rounds.{servers}",
        [seconds / trip for _, seconds in taken],
        goal=at_most(GOALS[servers]),
    )
    return [seconds for _, seconds in taken]


async def _round_trip(world: World) -> float:
    """Return the seconds that a bare request takes."""
    async with world.session() as session:
        floor = Floor(session, world.first)
        # The first one makes a connection.
        _, *taken = await time_rows_async([floor.get_transient_token], 1 + TRIPS)
        return median(taken)


async def _set_up(hass: HomeAssistant, world: World) -> list[tuple[float, float]]:
    """Return the seconds to the first refresh's end, and to the end.

    It is set up as after a restart: Home Assistant knows the devices and entities.
    """
    entries = hass.config_entries
    add_entities = entries.async_forward_entry_setups
    taken = []
    async with account_in(hass, world) as entry:
        await world.set_latency(LATENCY)
        for _ in range(ROUNDS):
            await entries.async_unload(entry.entry_id)
            refreshed = 0.0

            async def forward(*arguments: Any) -> None:
                nonlocal refreshed
                refreshed = time.perf_counter()
                await add_entities(*arguments)

            gc.collect()
            start = time.perf_counter()
            with patch.object(entries, "async_forward_entry_setups", forward):
                await entries.async_setup(entry.entry_id)
            taken.append((refreshed - start, time.perf_counter() - start))
            servers = entry.runtime_data.servers.values()
            verify(right=len(servers) == len(world.servers))
            verify(right=all(server.data.reachable for server in servers))
            verify(right=entry.state is ConfigEntryState.LOADED)
            await hass.async_block_till_done(wait_background_tasks=True)
    return taken


async def _measure_peer(report: Report, world: World, ours: list[float]) -> None:
    """Compare with connecting to all servers."""
    servers = len(world.servers)
    async with peers.plexapi(world.first) as peer:
        for name, threads in (("", 1), ("_threads", PEER_THREADS)):
            seconds = [
                await peer("connect", timeout=None, threads=threads)
                for _ in range(PEER_ROUNDS[servers])
            ]
            report.add(
                f"setup_vs_plexapi{name}.{servers}",
                [theirs / own for theirs in seconds for own in ours],
                goal=at_least(25) if servers == 50 and threads == 1 else None,
            )
