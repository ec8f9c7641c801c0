"""How to time calls, and how to refuse to time what does not work.

Needs nothing but Python, as peers run where nothing of ours is installed.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
import gc
from statistics import median
import time

# Calls before anything is measured.
WARM_UP = 30
# Seconds between two looks at the clock.
TICK = 0.001


class WrongAnswerError(Exception):
    """What came back is not what was asked for."""


def verify(*, right: bool) -> None:
    """Refuse to measure what does not work."""
    if not right:
        raise WrongAnswerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to ask for what, and what is to come back."""

    url: str
    username: str
    password: str
    uuid: str
    server_url: str
    server_token: str
    machine_identifier: str
    connections: int

    @property
    def source(self) -> str:
        """What the server is called in a look-up."""
        return f"server://{self.machine_identifier}"


def time_rows(operations: Sequence[Callable[[], None]], count: int) -> list[float]:
    """Return the seconds that all operations in a row took, each time."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        for operation in operations:
            operation()
        seconds.append(time.perf_counter() - start)
    return seconds


async def time_rows_async(
    operations: Sequence[Callable[[], Awaitable[None]]], count: int
) -> list[float]:
    """Do the same in an event loop."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        for operation in operations:
            await operation()
        seconds.append(time.perf_counter() - start)
    return seconds


def call_rate(
    operation: Callable[[], None], concurrency: int, duration: float
) -> list[float]:
    """Let threads call an operation as often as they can.

    Return the calls per second, and the microseconds of this process's CPU time each.
    """
    cpu = time.process_time()
    start = time.perf_counter()

    def work() -> int:
        calls = 0
        while time.perf_counter() - start < duration:
            operation()
            calls += 1
        return calls

    with ThreadPoolExecutor(concurrency) as pool:
        workers = [pool.submit(work) for _ in range(concurrency)]
        calls = sum(worker.result() for worker in workers)
    seconds = time.perf_counter() - start
    return [calls / seconds, 1e6 * (time.process_time() - cpu) / calls]


async def call_rate_async(
    operation: Callable[[], Awaitable[None]], concurrency: int, duration: float
) -> list[float]:
    """Do the same with tasks of an event loop."""
    cpu = time.process_time()
    start = time.perf_counter()

    async def work() -> int:
        calls = 0
        while time.perf_counter() - start < duration:
            await operation()
            calls += 1
        return calls

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(concurrency)]
    calls = sum(worker.result() for worker in workers)
    seconds = time.perf_counter() - start
    return [calls / seconds, 1e6 * (time.process_time() - cpu) / calls]


async def compare(
    operations: Sequence[Callable[[], Awaitable[None]]], rounds: int, calls: int
) -> list[list[float]]:
    """Return the median seconds of each operation in each round.

    They take turns in an order that changes, so that whatever else the machine does
    meets all of them.
    """
    medians = []
    for operation in operations:
        for _ in range(WARM_UP):
            await operation()
    for _ in range(rounds):
        gc.collect()
        seconds: list[list[float]] = [[] for _ in operations]
        for call in range(calls):
            for offset in range(len(operations)):
                index = (call + offset) % len(operations)
                start = time.perf_counter()
                await operations[index]()
                seconds[index].append(time.perf_counter() - start)
        medians.append([median(taken) for taken in seconds])
    return medians


@asynccontextmanager
async def stalls() -> AsyncGenerator[Sequence[float]]:
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
        # What ends the measurement counts as well.
        await asyncio.sleep(2 * TICK)
    finally:
        watcher.cancel()
