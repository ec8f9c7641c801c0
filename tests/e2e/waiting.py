"""Wait for what another process does in its own time."""

import asyncio
from collections.abc import Awaitable, Callable

INTERVAL = 0.05


async def eventually[T](
    check: Callable[[], Awaitable[T | None]], what: str, within: float = 15
) -> T:
    """Return the first answer that is one or true; what says what is waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not (answer := await check()):
        if loop.time() > deadline:
            raise TimeoutError(f"not within {within} seconds: {what}")
        await asyncio.sleep(INTERVAL)
    return answer
