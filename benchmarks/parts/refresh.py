"""A refresh of an account and its servers: CPU time, and how long all else waits.

CPU time is that of this process: for each server what its own refresh takes, all being
refreshed at once, and again until as many have been for each size; `account_us` is the
account's refresh with so many servers. A stall is the longest time that a timer was
late when the account begins and each server follows at a time of its own within half a
second, as Home Assistant's coordinators do; `_at_once` is that of all servers beginning
together, which only happens when an account is set up.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
import gc
import random
import time

from benchmarks.emulator import World, emulated
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import account_in, home_assistant
from benchmarks.measuring import verify
from custom_components.plex_account.coordinator import PlexAccountCoordinator

SIZES = (1, 10, 100, 500)
ROUNDS = 7
# Of servers, in each round.
REFRESHES = 500
# Seconds, of a coordinator's own choice.
SPREAD = (0.05, 0.5)
AT_ONCE = (0.0, 0.0)
# Seconds between two looks at the clock.
TICK = 0.001


async def run(report: Report) -> None:
    """Measure each size of an account."""
    per_server = []
    async with home_assistant() as hass:
        for size in SIZES:
            async with (
                emulated(servers=size) as world,
                account_in(hass, world) as entry,
            ):
                account: PlexAccountCoordinator = entry.runtime_data
                cpu = await _cpu_times(world, account)
                per_server.append(
                    report.add(
                        f"refresh.{size}.cpu_us_per_server",
                        [servers / size for _, servers in cpu],
                        unit="us",
                    )
                )
                report.add(
                    f"refresh.{size}.account_us", [own for own, _ in cpu], unit="us"
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
        [max(per_server) / min(per_server)],
        goal=at_most(1.2),
    )


async def _cpu_times(
    world: World, account: PlexAccountCoordinator
) -> list[tuple[float, float]]:
    """Return the microseconds that a refresh of the account and of all servers take.

    Each is the mean of a round.
    """
    servers = list(account.servers.values())
    count = REFRESHES // len(servers)
    # The first one makes connections.
    await _refresh(account, AT_ONCE)
    rounds = []
    for _ in range(ROUNDS):
        await world.count_requests()
        gc.collect()
        own = others = 0.0
        for _ in range(count):
            start = time.process_time()
            await account.async_refresh()
            middle = time.process_time()
            await asyncio.gather(*(server.async_refresh() for server in servers))
            own += middle - start
            others += time.process_time() - middle
            _verify(account)
        rounds.append((1e6 * own / count, 1e6 * others / count))
    return rounds


async def _stalls(
    account: PlexAccountCoordinator, spread: tuple[float, float]
) -> list[float]:
    """Return the longest stall of each refresh, in milliseconds."""
    longest = []
    for _ in range(ROUNDS):
        gc.collect()
        async with _watched() as stalls:
            await _refresh(account, spread)
        longest.append(1000 * max(stalls))
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
            refresh_later(random.uniform(*spread), index)  # noqa: S311
            for index in range(len(servers))
        ),
    )
    _verify(account)


def _verify(account: PlexAccountCoordinator) -> None:
    """Refuse to measure what does not work."""
    servers = account.servers.values()
    verify(right=account.last_update_success)
    verify(right=all(server.reachable for server in servers))


@asynccontextmanager
async def _watched() -> AsyncGenerator[Sequence[float]]:
    """Collect by how much a timer is late, in seconds."""
    late = [0.0]

    async def watch() -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(TICK)
            late.append(time.perf_counter() - start - TICK)

    watcher = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watcher.cancel()
