"""A refresh of an account and its servers: CPU time, and how long all else waits.

CPU time is that of this process: for each server what its own refresh takes, one after
the other, as each has a time of its own, and again until as many have been for each
size; `_at_once` is when all of them share the turns of the event loop. `account_us` is
the account's refresh with so many servers. As the machine is not equally fast all the
time, sizes are compared by `floors_per_server`: what a server takes as a multiple of a
bare request in the same round. A stall is the longest time that a timer was
late when the account begins and each server follows at a time of its own within half a
second, as Home Assistant's coordinators do; `_at_once` is that of all servers beginning
together, which only happens when an account is set up.
"""

import asyncio
from dataclasses import dataclass
import gc
from itertools import pairwise
import random
import time

from benchmarks.emulator import World, emulated
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import account_in, home_assistant
from benchmarks.measuring import call_rate_async, stalls, verify
from benchmarks.operations import Floor
from custom_components.plex_account.coordinator import PlexAccountCoordinator

SIZES = (1, 10, 100, 500)
ROUNDS = 7
# Of servers, in each round.
REFRESHES = 500
# Seconds in which only bare requests are made.
BARE_DURATION = 0.2
# Seconds, of a coordinator's own choice.
SPREAD = (0.05, 0.5)
AT_ONCE = (0.0, 0.0)


async def run(report: Report) -> None:
    """Measure each size of an account."""
    floors_per_server = []
    async with home_assistant() as hass:
        for size in SIZES:
            async with (
                emulated(servers=size) as world,
                account_in(hass, world) as entry,
            ):
                account: PlexAccountCoordinator = entry.runtime_data
                cpu = await _cpu_times(world, account)
                report.add(
                    f"refresh.{size}.cpu_us_per_server",
                    [times.servers / size for times in cpu],
                    unit="us",
                )
                floors_per_server.append(
                    report.add(
                        f"refresh.{size}.floors_per_server",
                        [times.servers / size / times.floor for times in cpu],
                    )
                )
                report.add(
                    f"refresh.{size}.cpu_us_per_server_at_once",
                    [times.at_once / size for times in cpu],
                    unit="us",
                )
                report.add(
                    f"refresh.{size}.account_us",
                    [times.account for times in cpu],
                    unit="us",
                )
                for name, spread, goal in (
                    ("", SPREAD, at_most(50)),
                    ("_at_once", AT_ONCE, None),
                ):
                    report.add(
                        f"refresh.{size}.max_stall_ms{name}",
                        await _stalls(account, spread),
                        unit="ms",
                        goal=goal,
                    )
    report.add(
        "refresh.cpu_us_per_server_ratio",
        [max(floors_per_server) / min(floors_per_server)],
        goal=at_most(1.2),
    )


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The microseconds that refreshes take: each the mean of a round."""

    account: float
    servers: float
    at_once: float
    floor: float


async def _cpu_times(world: World, account: PlexAccountCoordinator) -> list[CpuTimes]:
    """Return what a refresh of the account, and of all of its servers, takes."""
    servers = list(account.servers.values())
    count = REFRESHES // len(servers)
    # The first one makes connections.
    await _refresh(account, AT_ONCE)
    rounds = []
    for _ in range(ROUNDS):
        await world.count_requests()
        gc.collect()
        seconds = [0.0, 0.0, 0.0]
        for _ in range(count):
            moments = [time.process_time()]
            await account.async_refresh()
            moments.append(time.process_time())
            for server in servers:
                await server.async_refresh()
            moments.append(time.process_time())
            await asyncio.gather(*(server.async_refresh() for server in servers))
            moments.append(time.process_time())
            for index, (start, end) in enumerate(pairwise(moments)):
                seconds[index] += end - start
            _verify(account)
        own, one_by_one, at_once = (1e6 * total / count for total in seconds)
        async with world.session() as session:
            bare = Floor(session, world.first).get_transient_token
            _, floor = await call_rate_async(bare, 1, BARE_DURATION)
        rounds.append(CpuTimes(own, one_by_one, at_once, floor))
    return rounds


async def _stalls(
    account: PlexAccountCoordinator, spread: tuple[float, float]
) -> list[float]:
    """Return the longest stall of each refresh, in milliseconds."""
    longest = []
    for _ in range(ROUNDS):
        gc.collect()
        async with stalls() as late:
            await _refresh(account, spread)
        longest.append(1000 * max(late))
    return longest


async def _refresh(
    account: PlexAccountCoordinator, spread: tuple[float, float]
) -> None:
    """Refresh the account and its servers."""

    async def refresh_later(delay: float, index: int) -> None:
        await asyncio.sleep(delay)
        await servers[index].async_refresh()

    servers = list(account.servers.values())
    await asyncio.gather(
        account.async_refresh(),
        *(
            refresh_later(random.uniform(*spread), index)  # noqa: S311 - no secret
            for index in range(len(servers))
        ),
    )
    _verify(account)


def _verify(account: PlexAccountCoordinator) -> None:
    """Refuse to measure what does not work."""
    servers = account.servers.values()
    verify(right=account.last_update_success)
    verify(right=all(server.data.reachable for server in servers))
