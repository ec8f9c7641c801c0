"""Which of a server's connections to use from here."""

import asyncio
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from weakref import WeakKeyDictionary

from aiohttp import ClientSession
from yarl import URL

from .exceptions import (
    PlexCertificateError,
    PlexConnectionError,
    PlexError,
    PlexNameError,
    PlexTimeoutError,
    PlexWrongServerError,
)
from .http import ClientIdentity
from .models import ServerIdentity
from .resources import Connection, Resource
from .server import PlexServerClient

# Seconds: for all of a probe, for a better tier after the first success, the head start
# that each kind of connection has before the next one, and a name before its address.
PROBE_TIMEOUT = 4
BETTER_TIER_GRACE = 0.25
STAGGER = 0.025
NAME_HEAD_START = 0.5
# How many connections are tried at a time, of all servers together.
MAX_PROBES = 100

# Names of this domain tell an address, such as 192-168-1-150, of a private network.
PLEX_DIRECT: Final = ".plex.direct"

# Networks that are in many homes at once.
_PRIVATE_NETWORKS: Final = [
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8"),
        *("::/127", "fc00::/7", "fe80::/10"),
    )
]
# Domains whose names are different machines in each home.
_HOME_DOMAINS: Final = {"arpa", "home", "internal", "lan", "local", "localdomain"}

_slots: WeakKeyDictionary[ClientSession, asyncio.Semaphore] = WeakKeyDictionary()


class ConnectionTier(IntEnum):
    """Kinds of connections, the best first among those with or without encryption."""

    LOCAL_HTTPS = 0
    LOCAL_HTTP = 1
    REMOTE = 2
    RELAY = 3


class PlainHttp(Enum):
    """What may be done without encryption, by which anybody can answer.

    Plain HTTP that is only `SHOWN` is tried to tell of it, but never used.
    """

    REFUSED = "refused"
    SHOWN = "shown"
    ALLOWED = "allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The expected server answered at a connection, in `latency` seconds.

    With `name_blocked` it did so at its address, but the name for it does not resolve:
    a name server with protection against DNS rebinding tells no private addresses.
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

    @property
    def encrypted(self) -> bool:
        """Return if the best connection proves who answers."""
        return self.best is not None and is_encrypted(self.best.connection)

    @property
    def only_unencrypted(self) -> bool | None:
        """Return if nothing by which it proves who it is answered, if anything did."""
        replies = [reply for reply in self.tried.values() if isinstance(reply, Reply)]
        if not replies:
            return None
        return not any(is_encrypted(reply.connection) for reply in replies)


def is_encrypted(connection: Connection) -> bool:
    """Return if a certificate proves who answers."""
    return connection.protocol == "https"


def tier(connection: Connection) -> ConnectionTier:
    """Return what kind of connection it is."""
    if connection.relay:
        return ConnectionTier.RELAY
    if not connection.local:
        return ConnectionTier.REMOTE
    if is_encrypted(connection):
        return ConnectionTier.LOCAL_HTTPS
    return ConnectionTier.LOCAL_HTTP


def kind_rank(connection: Connection) -> tuple[bool, ConnectionTier, bool]:
    """Return a sort key of kinds of connections, the best first.

    What is not encrypted stands last, and whose name works before what is pinned.
    """
    return not is_encrypted(connection), tier(connection), connection.pinned


def rank(connection: Connection) -> tuple[bool, ConnectionTier, bool, bool]:
    """Return a sort key of connections, the best first: IPv4 stands before IPv6."""
    return *kind_rank(connection), connection.ipv6


def at_address(connection: Connection) -> Connection:
    """Return the unencrypted connection to the address that a name stands for."""
    url = URL.build(scheme="http", host=connection.address, port=connection.port)
    return replace(connection, uri=str(url), protocol=url.scheme, pinned=False)


def plain_http(server: Resource | None, *, https_worked: bool) -> PlainHttp:
    """Return what may be done without encryption with a server.

    Only with the account's own server, if it does not refuse it, in a network that
    plex.tv sees as ours. Where HTTPS has worked, who answers without it may be another.
    """
    if server is None or not server.owned:
        return PlainHttp.REFUSED
    is_allowed = server.public_address_matches and not server.https_required
    return PlainHttp.ALLOWED if is_allowed and not https_worked else PlainHttp.SHOWN


def usable_connections(
    connections: tuple[Connection, ...], server: Resource | None, plain: PlainHttp
) -> list[Connection]:
    """Return the connections that may be tried.

    Plain HTTP only goes to local addresses, and not where it is refused. A local
    address of somebody else's server is only tried if plex.tv sees both of us behind
    the same public address, and not at all if it is said to be remote: it may be
    another machine in our network. So nothing local is tried for a server that plex.tv
    does not list (`server` is None).
    """
    own = server is not None and server.owned
    local_allowed = server is not None and (own or server.public_address_matches)

    def is_usable(connection: Connection) -> bool:
        match tier(connection):
            case ConnectionTier.LOCAL_HTTPS:
                return local_allowed
            case ConnectionTier.LOCAL_HTTP:
                return plain is not PlainHttp.REFUSED
        return is_encrypted(connection) and (own or not _tells_private(connection))

    return [connection for connection in connections if is_usable(connection)]


async def probe_connections(
    session: ClientSession,
    identity: ClientIdentity,
    machine_identifier: str,
    connections: list[Connection],
    plain: PlainHttp,
) -> ProbeOutcome:
    """Try connections all at once and choose the best one that answers.

    A connection answers if `/identity`, asked without saying who asks, names the server
    that `machine_identifier` says. Where the name of a local address does not resolve,
    that address is tried itself: by HTTPS, with the certificate verified for the name,
    and else by plain HTTP unless it is refused. After the first answer only better
    tiers are waited for, at most 250 ms; plain HTTP is only chosen if it is allowed and
    nothing else answers. All together it takes at most 4 seconds from when it is this
    server's turn. No task is left behind, and nothing is raised.
    """
    slots = _slots.setdefault(session, asyncio.Semaphore(MAX_PROBES))
    prober = _Prober(session, identity, machine_identifier, plain, slots)
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
    tasks = set(waiting)
    loop = asyncio.get_running_loop()
    try:
        if tasks:
            await prober.turn.wait()
        deadline = loop.time() + PROBE_TIMEOUT
        while pending := {
            task
            for task, connection in waiting.items()
            if best is None or _tier_rank(connection) < _tier_rank(best.connection)
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
                    if is_encrypted(result.connection):
                        deadline = min(deadline, loop.time() + BETTER_TIER_GRACE)
                    elif plain is not PlainHttp.ALLOWED:
                        continue
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


def _tier_rank(connection: Connection) -> tuple[bool, ConnectionTier]:
    """Return a sort key; what is smaller than the best so far is waited for."""
    return not is_encrypted(connection), tier(connection)


@dataclass(frozen=True, slots=True)
class _Prober:
    """Asks at connections whether a certain server is there."""

    session: ClientSession
    identity: ClientIdentity
    machine_identifier: str
    plain: PlainHttp
    slots: asyncio.Semaphore
    turn: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(
        self, connection: Connection, delay: float
    ) -> dict[str, Reply | PlexError]:
        """Return what came of a connection, and of its address if the name failed."""
        if delay:
            await asyncio.sleep(delay)
        async with self.slots:
            self.turn.set()
            if _may_be_hidden(connection):
                return await self._probe_address_too(connection)
            return {connection.uri: await self._ask(connection)}

    async def _probe_address_too(
        self, connection: Connection
    ) -> dict[str, Reply | PlexError]:
        """Try the address of a name that fails, or that nobody answers for."""
        named = asyncio.create_task(self._ask(connection), eager_start=True)
        try:
            await asyncio.wait({named}, timeout=NAME_HEAD_START)
            if named.done() and not _name_failed(named.result()):
                return {connection.uri: named.result()}
            found = await self._ask(replace(connection, pinned=True))
            if isinstance(found, Reply):
                blocked = named.done() and isinstance(named.result(), PlexNameError)
                return {connection.uri: replace(found, name_blocked=blocked)}
            result = await named
        finally:
            named.cancel()
            await asyncio.wait({named})
        outcome = {connection.uri: result}
        if isinstance(result, PlexNameError) and self.plain is not PlainHttp.REFUSED:
            found = await self._ask(at_address(connection))
            if isinstance(found, Reply):
                outcome[found.connection.uri] = replace(found, name_blocked=True)
        return outcome

    async def _ask(self, connection: Connection) -> Reply | PlexError:
        """Ask who is there."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        client = PlexServerClient.at(
            connection,
            self.session,
            self.identity,
            token=None,
            machine_identifier=self.machine_identifier,
        )
        try:
            server = await client.get_identity()
        except PlexError as err:
            # Kept with the outcome, where these would keep all of the request alive.
            err.__cause__ = err.__context__ = None
            return err.with_traceback(None)
        except Exception as err:  # noqa: BLE001 - no connection may affect another
            return PlexConnectionError(f"{type(err).__name__} at {connection.uri}")
        return Reply(connection=connection, server=server, latency=loop.time() - start)


def _may_be_hidden(connection: Connection) -> bool:
    """Return if a name server may hide the address of a local connection."""
    return (
        connection.local
        and is_encrypted(connection)
        and f"{URL(connection.uri).host}".endswith(PLEX_DIRECT)
        and _is_private(_address(connection.address))
    )


def _name_failed(result: Reply | PlexError) -> bool:
    """Return if it may be the name's fault: nobody was there, and nobody was silent."""
    return isinstance(result, PlexConnectionError) and not isinstance(
        result, (PlexCertificateError, PlexTimeoutError, PlexWrongServerError)
    )


def _tells_private(connection: Connection) -> bool:
    """Return if a host is in a private network, or a name that leads there."""
    host = f"{URL(connection.uri).host}".rstrip(".")
    label, *others = host.split(".")
    if host.endswith(PLEX_DIRECT):
        return any(_is_private(_address(label.replace("-", dot))) for dot in ".:")
    if address := _address(host):
        return _is_private(address)
    if not others:
        # A name of a home, or a number, which is an address as well. Nobody has a
        # certificate for this machine.
        return host != "localhost"
    return others[-1] in _HOME_DOMAINS or others[-1].isdecimal()


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text is, or the one that it holds."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_private(address: IPv4Address | IPv6Address | None) -> bool:
    """Return if it is an address of a private network, which names may hide."""
    return address is not None and any(
        address in network for network in _PRIVATE_NETWORKS
    )
