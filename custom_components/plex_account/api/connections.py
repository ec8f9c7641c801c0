"""Which of a server's connections to use from here."""

import asyncio
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import ip_address

from aiohttp import ClientSession
from yarl import URL

from .exceptions import (
    PlexCertificateError,
    PlexConnectionError,
    PlexError,
    PlexResponseError,
    PlexTimeoutError,
)
from .http import ClientIdentity
from .models import Connection, Resource, ServerIdentity
from .server import PlexServerClient

# Seconds: for all of a probe, for a better tier after the first success, and the head
# start that each kind of connection has before the next one.
PROBE_TIMEOUT = 5
BETTER_TIER_GRACE = 0.25
STAGGER = 0.025


class ConnectionTier(IntEnum):
    """Kinds of connections, the best first."""

    LOCAL_HTTPS = 0
    LOCAL_HTTP = 1
    REMOTE = 2
    RELAY = 3


# Names of this domain tell an address, such as 192-168-1-150, of a private network.
PLEX_DIRECT = ".plex.direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The expected server answered at a connection, in `latency` seconds.

    With `name_blocked` it did so at its address, but not by the name for it: a name
    server with protection against DNS rebinding does not tell private addresses.
    """

    connection: Connection
    server: ServerIdentity
    latency: float
    name_blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """What trying connections has shown.

    `tried` holds the reply by URI, or why there was none; what was given up because a
    better connection had answered is missing. `best` is the one to use.
    """

    best: Reply | None
    tried: dict[str, Reply | PlexError]

    @property
    def certificate_failed(self) -> bool:
        """Return if a name has no valid certificate, as when the server has a new one.

        Then plex.tv knows its new name.
        """
        return any(
            isinstance(result, PlexCertificateError) for result in self.tried.values()
        )


def tier(connection: Connection) -> ConnectionTier:
    """Return what kind of connection it is."""
    if connection.relay:
        return ConnectionTier.RELAY
    if not connection.local:
        return ConnectionTier.REMOTE
    if connection.protocol == "https":
        return ConnectionTier.LOCAL_HTTPS
    return ConnectionTier.LOCAL_HTTP


def usable_connections(
    connections: tuple[Connection, ...], server: Resource | None
) -> list[Connection]:
    """Return the connections that may be tried.

    Plain HTTP only goes to local addresses, and not where `server` wants HTTPS. A local
    address of somebody else's server is only tried if plex.tv sees both of us behind
    the same public address: it may be another machine in our network. So nothing
    local is tried for a server that plex.tv does not list (`server` is None).
    """
    local_allowed = server is not None and (
        server.owned or server.public_address_matches
    )
    http_allowed = server is not None and not server.https_required
    allowed = {ConnectionTier.LOCAL_HTTPS} if local_allowed else set()
    if local_allowed and http_allowed:
        allowed.add(ConnectionTier.LOCAL_HTTP)
    return [
        connection
        for connection in connections
        if tier(connection) in allowed
        or (
            tier(connection) in {ConnectionTier.REMOTE, ConnectionTier.RELAY}
            and connection.protocol == "https"
        )
    ]


async def probe_connections(
    session: ClientSession,
    identity: ClientIdentity,
    machine_identifier: str,
    connections: list[Connection],
    *,
    https_required: bool,
) -> ProbeOutcome:
    """Try connections all at once and choose the best one that answers.

    A connection answers if `/identity`, asked without a token, names the server that
    `machine_identifier` says. Where name servers hide a local address, that address is
    tried itself: by plain HTTP, or by HTTPS if `https_required`. After the first answer
    only better tiers are waited for, at most 250 ms; all together it takes at most 5
    seconds. No task is left behind, and nothing is raised.
    """
    prober = _Prober(session, identity, machine_identifier, https_required)
    ranks = sorted({rank(connection) for connection in connections})
    waiting = {
        # Eager, so that each request is on its way before the next is prepared.
        asyncio.create_task(
            prober.probe(connection, ranks.index(rank(connection)) * STAGGER),
            eager_start=True,
        ): connection
        for connection in connections
    }
    tried: dict[str, Reply | PlexError] = {}
    best: Reply | None = None
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PROBE_TIMEOUT
    tasks = set(waiting)
    try:
        while pending := {
            task
            for task, connection in waiting.items()
            if best is None or tier(connection) < tier(best.connection)
        }:
            done, _ = await asyncio.wait(
                pending,
                timeout=deadline - loop.time(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done:
                break
            for task in done:
                del waiting[task]
                for uri, result in task.result().items():
                    tried[uri] = result
                    if isinstance(result, PlexError):
                        continue
                    deadline = min(deadline, loop.time() + BETTER_TIER_GRACE)
                    if best is None or rank(result.connection) < rank(best.connection):
                        best = result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if best is None:
        for connection in waiting.values():
            tried[connection.uri] = PlexTimeoutError("No answer in time")
    return ProbeOutcome(best=best, tried=tried)


def rank(connection: Connection) -> tuple[ConnectionTier, bool, bool]:
    """Return what sorts connections, the best first: IPv4 stands before IPv6."""
    return tier(connection), connection.pinned, connection.ipv6


@dataclass(frozen=True, slots=True)
class _Prober:
    """Asks at connections whether a certain server is there."""

    session: ClientSession
    identity: ClientIdentity
    machine_identifier: str
    https_required: bool

    async def probe(
        self, connection: Connection, delay: float
    ) -> dict[str, Reply | PlexError]:
        """Return what came of a connection, and of its address if the name failed."""
        if delay:
            await asyncio.sleep(delay)
        result = await self._ask(connection)
        if not _may_be_hidden(connection, result):
            return {connection.uri: result}
        substitute = self._at_address(connection)
        found = await self._ask(substitute)
        if isinstance(found, PlexError):
            return {connection.uri: result}
        return {
            connection.uri: result,
            substitute.uri: replace(found, name_blocked=True),
        }

    def _at_address(self, connection: Connection) -> Connection:
        """Return the connection to the address that a name stands for."""
        if self.https_required:
            return replace(connection, pinned=True)
        url = URL.build(scheme="http", host=connection.address, port=connection.port)
        return replace(connection, uri=str(url), protocol="http")

    async def _ask(self, connection: Connection) -> Reply | PlexError:
        """Ask who is there."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        client = PlexServerClient.at(connection, self.session, self.identity, None)
        try:
            server = await client.get_identity()
        except PlexError as err:
            # Kept with the outcome, where these would keep all of the request alive.
            err.__cause__ = err.__context__ = None
            return err.with_traceback(None)
        if server.machine_identifier != self.machine_identifier:
            return PlexResponseError("Another server answers")
        return Reply(connection=connection, server=server, latency=loop.time() - start)


def _may_be_hidden(connection: Connection, result: Reply | PlexError) -> bool:
    """Return if a name server may hide the address of a local connection."""
    return (
        connection.local
        and connection.protocol == "https"
        and f"{URL(connection.uri).host}".endswith(PLEX_DIRECT)
        and _is_private(connection.address)
        and isinstance(result, PlexConnectionError)
        # Somebody was there, or nobody is: that is not the name's fault.
        and not isinstance(result, (PlexCertificateError, PlexTimeoutError))
    )


def _is_private(text: str) -> bool:
    """Return if it is an address of a private network, which names may hide."""
    try:
        return ip_address(text).is_private
    except ValueError:
        return False
