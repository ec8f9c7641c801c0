"""Servers that are no web servers, or broken ones."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class RawServer:
    """Where such a server is, how often it was called, and whether someone left.

    `most` is how many were there at the same time.
    """

    url: str
    connections: int = 0
    present: int = 0
    most: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_server(answer: bytes | None = None) -> AsyncGenerator[RawServer]:
    """Send the same bytes to whoever sends any; without bytes, never answer."""
    server = RawServer("")

    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        server.connections += 1
        server.present += 1
        server.most = max(server.most, server.present)
        while await reader.read(4096) and answer is None:
            pass
        server.present -= 1
        server.left.set()
        writer.write(answer or b"")
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server.url = f"http://127.0.0.1:{port}"
        yield server
