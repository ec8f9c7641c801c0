"""Look-ups a second with 1, 8 and 32 at a time.

python-plexapi cannot look sources up: its figure, and `ours_transient_token` that it is
compared with, are transient tokens a second. The figure of plex-api-client is the
better one of its two ways. `throughput_cpu_us` is the CPU time of a call, which other
programs disturb less. That of plexjs is 0.43.0's; `plexjs_0_39_0` asks as well,
but does not return what was answered.
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from aiohttp import ClientSession

from benchmarks.emulator import emulated
from benchmarks.figures import Report, at_least
from benchmarks.measuring import call_rate_async
from benchmarks.operations import Floor, Operation, Ours
from benchmarks.peers import start
from benchmarks.process import Child

ROUNDS = 6
# Seconds: short, so that all meet the same machine.
DURATION = 0.4
LEVELS = (1, 8, 32)
# How many times as many as each peer, with which of our figures, from which level on.
GOALS = (
    ("plexapi", "ours_transient_token", 5),
    ("plexjs", "ours", 4),
    ("plex_api_client", "ours", 20),
)

type Measure = Callable[[int], Awaitable[list[float]]]


def _here(operation: Operation) -> Measure:
    """Return how to measure an operation of this process."""
    return lambda level: call_rate_async(operation, level, DURATION)


def _there(child: Child, action: str = "call_rate") -> Measure:
    """Return how to measure a peer."""
    return lambda level: child(action, concurrency=level, duration=DURATION)


async def run(report: Report) -> None:
    """Measure everyone in turn."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(emulated(tls=False))
        session = await stack.enter_async_context(ClientSession())
        target = world.first
        ours, floor = Ours(session, target), Floor(session, target)
        plexapi = await stack.enter_async_context(start.plexapi(target))
        client = await stack.enter_async_context(start.plex_api_client(target))
        measures = {
            "ours": _here(ours.get_source_connection_information),
            "ours_transient_token": _here(ours.get_transient_token),
            "floor": _here(floor.get_source_connection_information),
            "plexapi": _there(plexapi),
            "plex_api_client_blocking": _there(client),
            "plex_api_client_async": _there(client, "call_rate_async"),
        }
        if start.has_node():
            for name, version in (("plexjs", "0.43.0"), ("plexjs_0_39_0", "0.39.0")):
                child = await stack.enter_async_context(start.plexjs(target, version))
                measures[name] = _there(child)
        for level in LEVELS:
            rates: dict[str, list[float]] = {name: [] for name in measures}
            cpu: dict[str, list[float]] = {name: [] for name in measures}
            for measure in measures.values():
                # Makes connections.
                await measure(level)
            for _ in range(ROUNDS):
                for name, measure in measures.items():
                    rate, taken = await measure(level)
                    rates[name].append(rate)
                    cpu[name].append(taken)
                await world.count_requests()
            _report_level(report, level, rates)
            for name, times in cpu.items():
                report.add(f"throughput_cpu_us.{level}.{name}", times, unit="us")


def _report_level(report: Report, level: int, rates: dict[str, list[float]]) -> None:
    """Add the figures of a level, and how they compare."""
    rates["plex_api_client"] = max(
        rates["plex_api_client_blocking"], rates["plex_api_client_async"], key=sum
    )
    for name, values in rates.items():
        report.add(f"throughput.{level}.{name}", values, unit="/s")
    for peer, own, goal in GOALS:
        name = f"throughput_ratio.{level}.{peer}"
        if peer not in rates:
            report.add_missing(f"throughput.{level}.{peer}", start.NO_NODE)
            continue
        ratios = [a / b for a, b in zip(rates[own], rates[peer], strict=True)]
        report.add(name, ratios, goal=at_least(goal) if level > 1 else None)
