"""Players in a process of their own, which fetch what they are told to."""

import asyncio
from collections.abc import Mapping
import ssl
import time

from aiohttp import ClientSession, TCPConnector

from .serving import serve_async

READ_SIZE = 256 * 1024


async def fetch(
    url: str, players: int, times: int, headers: Mapping[str, str], certificates: str
) -> list[float]:
    """Let so many fetch a file again and again; return the seconds and the bytes."""
    context = ssl.create_default_context(cadata=certificates or None)
    connector = TCPConnector(ssl=context, limit=0)

    async def play() -> int:
        size = 0
        for _ in range(times):
            async with session.get(url, headers=headers) as answer:
                answer.raise_for_status()
                async for piece in answer.content.iter_chunked(READ_SIZE):
                    size += len(piece)
        return size

    async with ClientSession(
        connector=connector, read_bufsize=READ_SIZE, auto_decompress=False
    ) as session:
        start = time.perf_counter()
        sizes = await asyncio.gather(*(play() for _ in range(players)))
        return [time.perf_counter() - start, sum(sizes)]


async def first_byte(
    url: str, count: int, headers: Mapping[str, str], certificates: str
) -> list[float]:
    """Return the seconds to the first byte of a file, each time."""
    context = ssl.create_default_context(cadata=certificates or None)
    taken = []
    async with ClientSession(connector=TCPConnector(ssl=context)) as session:
        for _ in range(count):
            start = time.perf_counter()
            async with session.get(
                url, headers={**headers, "Range": "bytes=0-0"}
            ) as answer:
                answer.raise_for_status()
                await answer.content.readany()
            taken.append(time.perf_counter() - start)
    return taken


if __name__ == "__main__":
    asyncio.run(serve_async({"fetch": fetch, "first_byte": first_byte}))
