"""An emulated Plex in a process of its own, with as many servers as wanted."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
import gc
import json
import socket
import ssl
import sys
from typing import Any

from aiohttp import ClientSession, TCPConnector

from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    PlexEmulator,
    Vanish,
)
from tests.plex_emulator.library import Entry, Section

from .measuring import Target
from .process import Child
from .serving import serve_async

USERNAME = "ada"
PASSWORD = "password-ada-countess"
# Of the client that is signed in from the start.
CLIENT_IDENTIFIER = "1f0c1c2e-8f5f-4b3e-9d0c-5f1b4a1f7a10"
LOOPBACK = "127.0.0.1"
# More connections than that are not let in, so a black hole stays one.
HOLE_BACKLOG = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An account and its servers, as those who measure need to know them.

    `target` is about the first server. `certificates` are the authorities to trust.
    """

    child: Child
    url: str
    uuid: str
    token: str
    servers: list[str]
    target: Target | None
    certificates: str

    @property
    def first(self) -> Target:
        """The first server, which must be there."""
        assert self.target
        return self.target

    def session(self) -> ClientSession:
        """Return a session that trusts the servers, without any connection yet."""
        context = ssl.create_default_context(cadata=self.certificates or None)
        return ClientSession(connector=TCPConnector(ssl=context))

    async def set_latency(self, seconds: float) -> None:
        """Let every answer take so much longer."""
        await self.child("set_latency", seconds=seconds)

    async def set_asleep(self, *, asleep: bool) -> None:
        """Let the servers sleep, so that nobody answers there, or wake them."""
        await self.child("set_asleep", asleep=asleep)

    async def count_requests(self) -> Counter[tuple[str, str]]:
        """Return how often each host was asked for each path since the last time."""
        rows = await self.child("count_requests")
        return Counter({(host, path): count for host, path, count in rows})


def world_here(
    plex: PlexEmulator, account: Account, authority: CertificateAuthority
) -> World:
    """Return the world of an emulator that runs in this very process."""
    return World(
        child=None,  # type: ignore[arg-type] # nobody else is to be asked
        url=plex.url,
        uuid=account.user.uuid,
        token=plex.tv.issue(account, CLIENT_IDENTIFIER).text,
        servers=[server.name for server in plex.servers],
        target=None,
        certificates=authority.pem,
    )


@asynccontextmanager
async def emulated(
    *, servers: int = 1, holes: int = 0, tls: bool = True
) -> AsyncGenerator[World]:
    """Start a world in which each server has so many addresses that never answer.

    The one that works is local, and reached by HTTPS unless peers can't do that.
    """
    options = json.dumps({"servers": servers, "holes": holes, "tls": tls})
    async with Child.module("emulator", options) as child:
        told = await child("describe")
        if told["target"]:
            told["target"] = Target(**told["target"])
        yield World(child=child, **told)


class _Emulation:
    """What the parent may ask of the process."""

    def __init__(self, plex: PlexEmulator, stack: ExitStack) -> None:
        self._plex = plex
        self._stack = stack
        self._holes: list[int] = []
        self._account: Account

    async def build(self, servers: int, holes: int) -> None:
        """Make the account and its servers."""
        plex = self._plex
        self._account = plex.add_account(USERNAME, password=PASSWORD, plex_pass=True)
        for _ in range(holes):
            hole = self._stack.enter_context(
                socket.create_server((LOOPBACK, 0), backlog=HOLE_BACKLOG)
            )
            self._holes.append(hole.getsockname()[1])
        for number in range(servers):
            server = await plex.add_server(f"Server {number}", owner=self._account)
            server.listing.connections = self._connections(server.url)

    async def describe(self) -> object:
        """Tell what there is."""
        plex, account = self._plex, self._account
        target: dict[str, Any] | None = None
        if plex.servers:
            server = plex.servers[0]
            target = {
                "url": plex.url,
                "username": USERNAME,
                "password": PASSWORD,
                "uuid": account.user.uuid,
                "server_url": server.url,
                "server_token": server.access_token(account),
                "machine_identifier": server.machine_identifier,
                "connections": len(server.listing.connections),
            }
        return {
            "url": plex.url,
            "uuid": account.user.uuid,
            "token": plex.tv.issue(account, CLIENT_IDENTIFIER).text,
            "servers": [server.name for server in plex.servers],
            "target": target,
            "certificates": self._plex.authority.pem if self._plex.authority else "",
        }

    async def stock(self, films: int, megabytes: int) -> None:
        """Let the first server have so many films, of one file of that size."""
        content = bytes(megabytes * 1024 * 1024)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        section = Section(1, "movie", "Films")
        for number in range(1, films + 1):
            title = f"{letters[number % len(letters)]} film {number}"
            film = Entry(number, "movie", title, year=2000, duration=5_400_000)
            film.files = [("film.mp4", content)]
            film.codecs = ("h264", "aac")
            section.entries.append(film)
        self._plex.servers[0].library.sections = [section]

    async def set_latency(self, seconds: float) -> None:
        """Let every host be that far away."""
        for host in (self._plex.tv, *self._plex.servers):
            host.latency = seconds

    async def set_asleep(self, *, asleep: bool) -> None:
        """Let the servers hang up on everybody, and have forgotten all tokens."""
        self._plex.faults.clear()
        if asleep:
            self._plex.faults.add(Vanish(), host="Server *")
        for server in self._plex.servers:
            server.forget_tokens()
            await server.push.hang_up()

    async def count_requests(self) -> object:
        """Tell what was asked since the last time."""
        counts = Counter(
            (request.host, request.path) for request in self._plex.requests
        )
        self._plex.requests.clear()
        gc.collect()
        return [[*key, count] for key, count in counts.items()]

    def _connections(self, url: str) -> list[Connection]:
        """Return the address that works, one that refuses, and the black holes.

        No names, as nobody is to be asked for their addresses.
        """
        return [
            *(
                Connection.at(f"https://{LOOPBACK}:{port}", local=number % 2 == 0)
                for number, port in enumerate(self._holes)
            ),
            Connection.at(url),
            Connection.at(
                f"https://{LOOPBACK}:{self._plex.refusing_port}", local=False
            ),
        ]


async def _main() -> None:
    options = json.loads(sys.argv[1])
    authority = CertificateAuthority() if options.pop("tls") else None
    with ExitStack() as stack:
        async with PlexEmulator(authority=authority) as plex:
            emulation = _Emulation(plex, stack)
            await emulation.build(**options)
            gc.collect()
            gc.freeze()
            await serve_async(
                {
                    "describe": emulation.describe,
                    "set_asleep": emulation.set_asleep,
                    "set_latency": emulation.set_latency,
                    "stock": emulation.stock,
                    "count_requests": emulation.count_requests,
                }
            )


if __name__ == "__main__":
    asyncio.run(_main())
