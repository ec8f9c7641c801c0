"""Which of a server's connections to use from here."""

import asyncio
from dataclasses import dataclass
from enum import IntEnum

from aiohttp import ClientSession

from .exceptions import PlexError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The expected server answered at a connection, in `latency` seconds."""

    connection: Connection
    server: ServerIdentity
    latency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """What trying connections has shown.

    `tried` holds the reply by URI, None where the server did not answer; what was given
    up because a better connection had answered is missing. `best` is the one to use.
    """

    best: Reply | None
    tried: dict[str, Reply | None]


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
) -> ProbeOutcome:
    """Try connections all at once and choose the best one that answers.

    A connection answers if `/identity`, asked without a token, names the server that
    `machine_identifier` says. After the first answer only better tiers are waited for,
    at most 250 ms; all together it takes at most 5 seconds, and what has not answered
    by then counts as unreachable. No task is left behind, and nothing is raised.
    """
    kinds = sorted({_rank(connection) for connection in connections})
    waiting = {
        asyncio.create_task(
            _probe(
                session,
                identity,
                machine_identifier,
                connection,
                kinds.index(_rank(connection)) * STAGGER,
            )
        ): connection
        for connection in connections
    }
    tried: dict[str, Reply | None] = {}
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
                connection = waiting.pop(task)
                reply = tried[connection.uri] = task.result()
                if reply is None:
                    continue
                if best is None:
                    deadline = min(deadline, loop.time() + BETTER_TIER_GRACE)
                if best is None or _rank(connection) < _rank(best.connection):
                    best = reply
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if best is None:
        tried.update({connection.uri: None for connection in waiting.values()})
    return ProbeOutcome(best=best, tried=tried)


def _rank(connection: Connection) -> tuple[ConnectionTier, bool]:
    """Return the order in which to try: by tier, and IPv4 before IPv6."""
    return tier(connection), connection.ipv6


async def _probe(
    session: ClientSession,
    identity: ClientIdentity,
    machine_identifier: str,
    connection: Connection,
    delay: float,
) -> Reply | None:
    """Ask who is there, None if it is not the server we look for."""
    await asyncio.sleep(delay)
    loop = asyncio.get_running_loop()
    start = loop.time()
    client = PlexServerClient(session, identity, base_url=connection.uri, token=None)
    try:
        server = await client.get_identity()
    except PlexError:
        return None
    if server.machine_identifier != machine_identifier:
        return None
    return Reply(connection=connection, server=server, latency=loop.time() - start)
