"""How long a user waits for an action that can't succeed, in seconds.

`failure.KIND.ACTION` with one server, `failure_5` with five that all fail in the same
way: `refused` (nothing listens), `black_hole` (connections are accepted, and
nothing is ever said), `hanging_dns` (nobody listens, and the name is looked up for
ever), `half_dead` (a server says who it is, and nothing else), `plex_tv_black_hole`
(plex.tv is silent, the servers are well). Each is measured from when nobody knows of it
yet; `_again` is the same a moment later. The second way to get a token is to ask for a
new one. Real time passes.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
import time
from typing import Any

from aiohttp import TCPConnector

from benchmarks.emulator import PASSWORD, USERNAME, world_here
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import DOMAIN, account_in, home_assistant
from benchmarks.measuring import verify
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import DATA_RESOLVER, async_get_clientsession
from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Ending,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Vanish,
)

KINDS = ("refused", "black_hole", "hanging_dns", "half_dead", "plex_tv_black_hole")
# The kinds in which it is soon known that a server is dead.
DEAD = KINDS[:3]
DOMAIN_NAME = "192-168-1-5.0123456789abcdef0123456789abcdef.plex.direct"
FOR_EVER = 3600
MOST = 15
DEAD_SERVER = 6


async def run(report: Report) -> None:
    """Let each kind of failure strike before each action."""
    for servers in (1, 5):
        for kind in KINDS:
            async with _home(servers) as home:
                for action, data in home.actions().items():
                    await home.heal()
                    await home.strike(kind)
                    first = await home.wait_for(action, data)
                    again = await home.wait_for(action, data)
                    goal = at_most(DEAD_SERVER if kind in DEAD else MOST)
                    part = "failure" if servers == 1 else f"failure_{servers}"
                    report.add(f"{part}.{kind}.{action}", [first], goal=goal)
                    report.add(f"{part}_again.{kind}.{action}", [again])
                await home.heal()


class _Home:
    """An account whose servers and whose plex.tv can fail."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, plex: PlexEmulator
    ) -> None:
        """Know all of them."""
        self._hass = hass
        self._entry = entry
        self._plex = plex
        self._names_resolve = asyncio.Event()
        self._names_resolve.set()
        resolver = hass.data[DATA_RESOLVER]
        resolve = resolver.resolve

        async def maybe(*arguments: Any, **options: Any) -> Any:
            await self._names_resolve.wait()
            return await resolve(*arguments, **options)

        vars(resolver)["resolve"] = maybe

    def actions(self) -> dict[str, dict[str, Any]]:
        """Return the fields by action."""
        server = self._plex.servers[0].machine_identifier
        device = dr.async_get(self._hass).async_get_device_by_identifier(
            (DOMAIN, server), self._entry.entry_id
        )
        assert device
        named = {"device_id": device.id}
        return {
            "get_user_details": {"refresh": True},
            "get_transient_token": named,
            "get_transient_token_refresh": {**named, "refresh": True},
            "get_source_connection_information": {"source": f"server://{server}"},
            "get_sources": {},
            "find_media": {"query": "Film"},
        }

    async def heal(self) -> None:
        """Let all be well, and known to be."""
        self._names_resolve.set()
        self._plex.tv.latency = 0
        self._plex.faults.clear()
        for server in self._plex.servers:
            server.latency = 0
            await server.start()
        account = self._entry.runtime_data
        await account.async_refresh()
        for server in account.servers.values():
            await server.async_refresh()
            verify(right=server.data.reachable)
        await self._hass.async_block_till_done(wait_background_tasks=True)

    async def strike(self, kind: str) -> None:
        """Let it fail."""
        if kind == "plex_tv_black_hole":
            self._plex.tv.latency = FOR_EVER
            return
        if kind == "half_dead":
            for path in ("/", "/security/*", "/hubs/*"):
                self._plex.faults.add(
                    Vanish(Ending.SILENCE), host="Server *", path=path
                )
            return
        if kind == "hanging_dns":
            self._names_resolve.clear()
            connector = async_get_clientsession(self._hass).connector
            assert isinstance(connector, TCPConnector)
            connector.clear_dns_cache()
        for server in self._plex.servers:
            if kind == "black_hole":
                server.latency = FOR_EVER
            else:
                await server.stop()

    async def wait_for(self, action: str, data: dict[str, Any]) -> float:
        """Return how long a user waits for an answer, or for an error."""
        start = time.perf_counter()
        with suppress(HomeAssistantError):
            await self._hass.services.async_call(
                DOMAIN,
                action.removesuffix("_refresh"),
                {"config_entry_id": self._entry.entry_id, **data},
                blocking=True,
                return_response=True,
            )
        return time.perf_counter() - start


@asynccontextmanager
async def _home(servers: int) -> AsyncGenerator[_Home]:
    """Set an account up whose servers are known by name."""
    authority = CertificateAuthority()
    async with (
        PlexEmulator(authority=authority) as plex,
        home_assistant() as hass,
    ):
        ada = plex.add_account(USERNAME, password=PASSWORD, plex_pass=True)
        for number in range(servers):
            await _add_server(plex, ada, authority, f"Server {number}")
        resolver = hass.data[DATA_RESOLVER]
        assert isinstance(resolver, LoopbackResolver)
        resolver.patterns.append("*.plex.direct")
        async with account_in(hass, world_here(plex, ada, authority)) as entry:
            yield _Home(hass, entry, plex)


async def _add_server(
    plex: PlexEmulator, owner: Account, authority: CertificateAuthority, name: str
) -> MediaServer:
    """Add a server that is reached by a name."""
    server = await plex.add_server(name, owner=owner)
    context = authority.server_context(f"*.{DOMAIN_NAME.partition('.')[2]}")
    listener = server.add_listener(ssl_context=context)
    await listener.start()
    server.listing.connections = [
        Connection.at(f"https://{DOMAIN_NAME}:{listener.port}")
    ]
    return server
