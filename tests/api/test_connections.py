"""Which of a server's connections are tried, and which one is chosen."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
import time

from aiohttp import ClientSession, ClientTimeout, TCPConnector
import pytest
from yarl import URL

from custom_components.plex_account.api import (
    ClientIdentity,
    Connection,
    ConnectionTier,
    PlainHttp,
    PlexAuthenticationError,
    PlexCertificateError,
    PlexConnectionError,
    PlexError,
    PlexNameError,
    PlexNotFoundError,
    PlexRateLimitError,
    PlexResponseError,
    PlexServerClient,
    PlexServerError,
    PlexTimeoutError,
    PlexWrongServerError,
    ProbeOutcome,
    Reply,
    Resource,
    at_address,
    connections as connections_module,
    http,
    plain_http,
    probe_connections,
    tier,
    usable_connections,
)
from custom_components.plex_account.api.reading import Json
from tests.plex_emulator import (
    Account,
    Answer,
    CertificateAuthority,
    Delay,
    Drip,
    Ending,
    Flood,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Reply as Replied,
    Vanish,
    error,
    redirect,
)
from tests.plex_emulator.emulator import LOOPBACK
from tests.plex_emulator.faults import Fault
from tests.plex_emulator.host import Listener

from .sockets import raw_server

RULES = {
    "local https": "https://10.0.0.2:32400",
    "local http": "http://10.0.0.2:32400",
    "remote https": "https://203.0.113.8:32400",
    "remote http": "http://203.0.113.8:32400",
    "relay https": "https://198.51.100.5:8443",
    "relay http": "http://198.51.100.5:8443",
    "local relay https": "https://198.51.100.6:8443",
    "local relay http": "http://198.51.100.6:8443",
}


def connection(
    uri: str, *, local: bool = False, relay: bool = False, ipv6: bool = False
) -> Connection:
    """Return a connection as plex.tv lists it."""
    read = Connection.from_json(
        {"uri": uri, "local": local, "relay": relay, "IPv6": ipv6}
    )
    assert read is not None
    return read


def local(uri: str) -> Connection:
    """Return a connection to a private address."""
    return connection(uri, local=True)


def relay(uri: str) -> Connection:
    """Return a connection by way of Plex."""
    return connection(uri, relay=True)


def listed() -> tuple[Connection, ...]:
    """Return a connection of each kind."""
    return tuple(
        connection(uri, local="local" in name, relay="relay" in name)
        for name, uri in RULES.items()
    )


# The rules


def test_tier() -> None:
    """A relay is the last resort, whatever else it says."""
    assert dict(zip(RULES, map(tier, listed()), strict=True)) == {
        "local https": ConnectionTier.LOCAL_HTTPS,
        "local http": ConnectionTier.LOCAL_HTTP,
        "remote https": ConnectionTier.REMOTE,
        "remote http": ConnectionTier.REMOTE,
        "relay https": ConnectionTier.RELAY,
        "relay http": ConnectionTier.RELAY,
        "local relay https": ConnectionTier.RELAY,
        "local relay http": ConnectionTier.RELAY,
    }
    assert sorted(ConnectionTier) == [
        ConnectionTier.LOCAL_HTTPS,
        ConnectionTier.LOCAL_HTTP,
        ConnectionTier.REMOTE,
        ConnectionTier.RELAY,
    ]


@pytest.mark.parametrize(
    ("owned", "matches", "https_required", "allowed"),
    [
        (True, False, False, {"local https", "local http"}),
        (True, True, False, {"local https", "local http"}),
        (True, False, True, {"local https", "local http"}),
        (True, True, True, {"local https", "local http"}),
        (False, True, False, {"local https"}),
        (False, True, True, {"local https"}),
        (False, False, False, set()),
        (False, False, True, set()),
    ],
)
@pytest.mark.parametrize("https_worked", [False, True])
def test_usable(
    owned: bool,
    matches: bool,
    https_required: bool,
    allowed: set[str],
    https_worked: bool,
) -> None:
    """What may be tried depends on whose server it is and what it wants."""
    server = Resource.from_json(
        {
            "clientIdentifier": "00112233",
            "owned": owned,
            "publicAddressMatches": matches,
            "httpsRequired": https_required,
        }
    )
    plain = plain_http(server, https_worked=https_worked)
    if "local http" not in allowed:
        assert plain is PlainHttp.REFUSED
    elif https_worked or https_required or not matches:
        # It is tried, to tell of it.
        assert plain is PlainHttp.SHOWN
    else:
        assert plain is PlainHttp.ALLOWED
    allowed = allowed | {"remote https", "relay https", "local relay https"}
    expected = [uri for name, uri in RULES.items() if name in allowed]
    usable = usable_connections(listed(), server, plain)
    assert [each.uri for each in usable] == expected


@pytest.mark.parametrize("host", ["localhost", "plex.example.com", "203.0.113.7"])
def test_public_address(host: str) -> None:
    """Somebody else's server is reached where it says, if that is out of the house."""
    remote = connection(f"https://{host}:32400")
    theirs = Resource.from_json({"clientIdentifier": "00112233", "owned": False})
    assert usable_connections((remote,), theirs, PlainHttp.REFUSED) == [remote]


def test_usable_of_unknown_server() -> None:
    """Of a server that plex.tv does not list nothing local is tried."""
    expected = [
        RULES[name] for name in ("remote https", "relay https", "local relay https")
    ]
    plain = plain_http(None, https_worked=False)
    assert plain is PlainHttp.REFUSED
    assert [each.uri for each in usable_connections(listed(), None, plain)] == expected


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.1",
        "127.0.0.1",
        "[fe80::1]",
        "[::ffff:192.168.1.1]",
        "[::]",
        "0.0.0.0",
        "100.64.0.1",
        "127.1",
        "2130706433",
        "router",
        "nas.local",
        "nas.home.arpa.",
        "192-168-1-1.0123456789abcdef0123456789abcdef.plex.direct.",
        "192-168-1-1.0123456789abcdef0123456789abcdef.plex.direct",
        "fd00--1.0123456789abcdef0123456789abcdef.plex.direct",
    ],
)
def test_private_address_said_to_be_remote(host: str) -> None:
    """Somebody else's server can't send us to a machine in our own network."""
    remote = connection(f"https://{host}:32400")
    data: dict[str, Json] = {"clientIdentifier": "00112233", "owned": False}
    theirs, own = (Resource.from_json(data | {"owned": own}) for own in (False, True))
    for server, usable in ((None, []), (theirs, []), (own, [remote])):
        assert usable_connections((remote,), server, PlainHttp.REFUSED) == usable


# Trying


@dataclass
class Prober:
    """Tries connections to a server and looks at what is left behind."""

    session: ClientSession
    identity: ClientIdentity
    machine_identifier: str
    plain: PlainHttp = PlainHttp.ALLOWED
    seconds: float = 0

    async def outcome(self, *tried: Connection) -> ProbeOutcome:
        """Try connections as the integration does."""
        return await probe_connections(
            self.session,
            self.identity,
            self.machine_identifier,
            list(tried),
            self.plain,
        )

    async def probe(self, *tried: Connection) -> ProbeOutcome:
        """Try connections, take the time, and see that nothing is left."""
        before = asyncio.all_tasks()
        start = time.monotonic()
        outcome = await self.outcome(*tried)
        self.seconds = time.monotonic() - start
        self.check(before)
        return outcome

    def check(self, before: set[asyncio.Task[object]]) -> None:
        """Check that no task and no connection is left."""
        left = [
            str(task)
            for task in asyncio.all_tasks() - before
            if "probe" in str(task) or "aiohttp/con" in str(task)
        ]
        assert left == []
        assert self.session.connector is not None
        assert not self.session.connector._acquired


@pytest.fixture
def prober(
    session: ClientSession, identity: ClientIdentity, attic: MediaServer
) -> Prober:
    """Return what looks for the server in the attic."""
    return Prober(session, identity, attic.machine_identifier)


type Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture
def listen(attic: MediaServer, authority: CertificateAuthority) -> Listen:
    """Return what gives the server one more address."""

    async def listen(address: str = "127.0.0.1", *, secure: bool = True) -> Listener:
        context = authority.server_context(*LOOPBACK) if secure else None
        listener = attic.add_listener(address=address, ssl_context=context)
        await listener.start()
        return listener

    return listen


def seen(outcome: ProbeOutcome) -> dict[str, Reply | type[PlexError]]:
    """Return the replies and the kinds of errors by URI."""
    return {
        uri: type(result) if isinstance(result, PlexError) else result
        for uri, result in outcome.tried.items()
    }


def best_uri(outcome: ProbeOutcome) -> str | None:
    """Return the URI of what was chosen."""
    return outcome.best.connection.uri if outcome.best else None


async def test_probe(prober: Prober, plex: PlexEmulator, attic: MediaServer) -> None:
    """Who is there is asked without any token."""
    attic.listeners[0].latency = 0.05
    outcome = await prober.probe(local(attic.url))
    assert outcome.best is not None
    assert outcome.best.connection == local(attic.url)
    assert outcome.best.server.machine_identifier == attic.machine_identifier
    assert outcome.best.server.version == attic.version
    assert 0.05 <= outcome.best.latency <= prober.seconds
    assert seen(outcome) == {attic.url: outcome.best}
    (received,) = plex.requests
    assert (received.host, received.method) == ("Attic", "GET")
    assert received.path == "/identity"
    assert received.token == ""
    assert dict(received.query) == {}


async def test_nothing_to_probe(prober: Prober) -> None:
    """Without connections there is nothing to wait for."""
    assert await prober.probe() == ProbeOutcome(best=None, tried={})


async def test_wrong_server(
    prober: Prober, plex: PlexEmulator, ada: Account, attic: MediaServer
) -> None:
    """Another server at a better address is not accepted, and gets no token."""
    cellar = await plex.add_server("Cellar", owner=ada)
    outcome = await prober.probe(local(cellar.url), relay(attic.url))
    assert best_uri(outcome) == attic.url
    assert seen(outcome) == {cellar.url: PlexWrongServerError, attic.url: outcome.best}
    assert [received.host for received in plex.requests] == ["Cellar", "Attic"]
    assert {received.token for received in plex.requests} == {""}
    outcome = await prober.probe(local(cellar.url))
    assert outcome.best is None
    assert str(outcome.tried[cellar.url]) == "Another server answers"


PAGE = b"<html><head><title>Router</title></head><body>Welcome</body></html>"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Replied(Answer(200, PAGE, "text/html")), PlexResponseError),
        (Replied(Answer(200, b"<!DOCTYPE html>", "text/html")), PlexResponseError),
        (Replied(Answer(200)), PlexResponseError),
        (Replied(Answer(200, b"[]", "application/json")), PlexResponseError),
        (Replied(Answer(200, b'{"MediaContainer": {}}')), PlexResponseError),
        (Flood(9), PlexResponseError),
        (redirect("/web/index.html"), PlexResponseError),
        (error(401, kind="html"), PlexAuthenticationError),
        (error(404, kind="html"), PlexNotFoundError),
        (error(429), PlexRateLimitError),
        (error(500, kind="html"), PlexServerError),
        (error(503, headers={"Retry-After": "1"}), PlexServerError),
        (Vanish(Ending.RESET), PlexConnectionError),
        (Vanish(Ending.CLOSE), PlexConnectionError),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_no_plex(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    fault: Fault,
    expected: type[PlexError],
) -> None:
    """What is no media server does not answer, and is asked once."""
    plex.faults.add(fault)
    outcome = await prober.probe(local(attic.url))
    assert outcome.best is None
    assert seen(outcome) == {attic.url: expected}
    assert not outcome.certificate_failed
    assert len(plex.requests) == 1


async def test_unreachable(prober: Prober, plex: PlexEmulator) -> None:
    """Whatever is wrong with an address, nothing is raised."""
    async with raw_server(b"SSH-2.0-OpenSSH_9.9\r\n") as garbage:
        expected: dict[str, type[PlexError]] = {
            f"http://127.0.0.1:{plex.refusing_port}": PlexConnectionError,
            f"https://127.0.0.1:{plex.refusing_port}": PlexConnectionError,
            f"http://[::1]:{plex.refusing_port}": PlexConnectionError,
            plex.url.replace("http", "https"): PlexCertificateError,
            "https://nowhere.invalid:32400": PlexNameError,
            f"https://{'a' * 64}.plex.direct:32400": PlexNameError,
            "https://a..b:32400": PlexNameError,
            "https://0:32400": PlexConnectionError,
            garbage.url: PlexConnectionError,
            garbage.url.replace("http", "https"): PlexCertificateError,
        }
        outcome = await prober.probe(*map(local, expected))
    assert outcome.best is None
    assert seen(outcome) == expected
    assert prober.seconds < 3


@pytest.mark.parametrize(
    "fault",
    [Vanish(Ending.SILENCE), Delay(60), Drip(0.5)],
    ids=["silence", "delay", "drip"],
)
async def test_black_hole(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """What never answers counts as unreachable when the time is over."""
    monkeypatch.setattr(connections_module, "PROBE_TIMEOUT", 0.15)
    plex.faults.add(fault)
    silent = f"http://127.0.0.1:{plex.silent_port}"
    uris = [attic.url, silent, silent.replace("http", "https")]
    outcome = await prober.probe(*map(local, uris))
    assert outcome.best is None
    assert seen(outcome) == dict.fromkeys(uris, PlexTimeoutError)
    assert 0.14 < prober.seconds < 2


async def test_losers_are_cancelled(prober: Prober, attic: MediaServer) -> None:
    """Nobody goes on talking to who is too slow."""
    attic.latency = 0.1
    async with raw_server() as silent:
        outcome = await prober.probe(local(silent.url), local(attic.url))
        assert best_uri(outcome) == attic.url
        assert seen(outcome) == {attic.url: outcome.best}
        async with asyncio.timeout(5):
            await silent.left.wait()
    assert silent.connections == 1
    assert prober.session.connector is not None
    pooled = {key.port for key in prober.session.connector._conns}
    assert pooled == {attic.listeners[0].port}


async def test_worse_tiers_are_not_even_asked(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the best one answers at once, there is a single request."""
    monkeypatch.setattr(connections_module, "STAGGER", 1)
    async with raw_server() as silent:
        outcome = await prober.probe(
            relay(plex.url), connection(silent.url), local(attic.url)
        )
        assert seen(outcome) == {attic.url: outcome.best}
    assert silent.connections == 0
    assert [received.host for received in plex.requests] == ["Attic"]


async def test_caller_gives_up(
    prober: Prober, plex: PlexEmulator, attic: MediaServer
) -> None:
    """Who is cancelled takes all attempts along."""
    attic.latency = 60
    before = asyncio.all_tasks()
    silent = f"http://127.0.0.1:{plex.silent_port}"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await prober.probe(local(attic.url), local(silent), relay(attic.url))
    prober.check(before)
    assert plex.requests


# Choosing


async def test_tiers_are_tried_in_order(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    listen: Listen,
) -> None:
    """The better a connection, the earlier it is tried."""
    monkeypatch.setattr(connections_module, "STAGGER", 0.2)
    monkeypatch.setattr(connections_module, "PROBE_TIMEOUT", 0.7)
    attic.latency = 60
    near, remote, by_relay = [await listen() for _ in range(3)]
    await prober.probe(relay(by_relay.url), connection(remote.url), local(near.url))
    assert [received.port for received in plex.requests] == [
        near.port,
        remote.port,
        by_relay.port,
    ]


@pytest.mark.parametrize("kind", [connection, relay])
async def test_within_the_grace(
    prober: Prober,
    monkeypatch: pytest.MonkeyPatch,
    kind: Callable[[str], Connection],
    listen: Listen,
) -> None:
    """A better connection may be a little later."""
    monkeypatch.setattr(connections_module, "BETTER_TIER_GRACE", 3)
    slow, fast = await listen(), await listen()
    slow.latency = 0.2
    outcome = await prober.probe(kind(fast.url), local(slow.url))
    assert best_uri(outcome) == slow.url
    assert set(outcome.tried) == {slow.url, fast.url}
    assert isinstance(outcome.tried[fast.url], Reply)
    assert prober.seconds < 2


@pytest.mark.parametrize("kind", [connection, relay])
async def test_after_the_grace(
    prober: Prober, kind: Callable[[str], Connection], listen: Listen
) -> None:
    """It may not be much later."""
    slow, fast = await listen(), await listen()
    slow.latency = 3
    outcome = await prober.probe(kind(fast.url), local(slow.url))
    assert best_uri(outcome) == fast.url
    assert seen(outcome) == {fast.url: outcome.best}
    assert 0.24 < prober.seconds < 2


async def test_grace_begins_once(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """A second answer does not give the best one more time."""
    monkeypatch.setattr(connections_module, "BETTER_TIER_GRACE", 0.4)
    monkeypatch.setattr(connections_module, "STAGGER", 0)
    by_relay, remote, near = [await listen() for _ in range(3)]
    remote.latency = 0.25
    near.latency = 0.53
    outcome = await prober.probe(
        relay(by_relay.url), connection(remote.url), local(near.url)
    )
    assert best_uri(outcome) == remote.url
    assert set(outcome.tried) == {by_relay.url, remote.url}


async def test_worse_tier_is_not_waited_for(prober: Prober, listen: Listen) -> None:
    """After the best there is, the others are of no interest."""
    near, remote = await listen(), await listen()
    near.latency = 0.1
    remote.latency = 3
    outcome = await prober.probe(connection(remote.url), local(near.url))
    assert best_uri(outcome) == near.url
    assert seen(outcome) == {near.url: outcome.best}
    assert prober.seconds < 2


async def test_equal_one_is_not_waited_for(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """Nor are others that are no better than the first."""
    monkeypatch.setattr(connections_module, "BETTER_TIER_GRACE", 3)
    fast, slow = await listen(), await listen()
    slow.latency = 0.3
    outcome = await prober.probe(connection(slow.url), connection(fast.url))
    assert best_uri(outcome) == fast.url
    assert seen(outcome) == {fast.url: outcome.best}


async def test_slow_server(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where only one answers it may take its time."""
    monkeypatch.setattr(connections_module, "BETTER_TIER_GRACE", 0.05)
    attic.latency = 0.2
    refusing = f"http://127.0.0.1:{plex.refusing_port}"
    outcome = await prober.probe(local(refusing), relay(attic.url))
    assert best_uri(outcome) == attic.url
    assert seen(outcome) == {refusing: PlexConnectionError, attic.url: outcome.best}


async def test_grace_ends_with_the_time(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """The grace does not make the whole take longer."""
    monkeypatch.setattr(connections_module, "PROBE_TIMEOUT", 0.4)
    monkeypatch.setattr(connections_module, "BETTER_TIER_GRACE", 3)
    near, remote = await listen(), await listen()
    near.latency = 60
    outcome = await prober.probe(connection(remote.url), local(near.url))
    assert best_uri(outcome) == remote.url
    assert seen(outcome) == {remote.url: outcome.best}
    assert prober.seconds < 2


async def test_ipv4_before_ipv6(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, listen: Listen
) -> None:
    """Of two equal ones the older kind of address has a head start."""
    monkeypatch.setattr(connections_module, "STAGGER", 0.5)
    new, old = await listen("::1"), await listen()
    old.latency = 0.05
    outcome = await prober.probe(local(new.url), local(old.url))
    assert best_uri(outcome) == old.url
    assert seen(outcome) == {old.url: outcome.best}


async def test_ipv6_alone(prober: Prober, plex: PlexEmulator, listen: Listen) -> None:
    """The newer kind is used where the older one does not answer."""
    new = await listen("::1")
    old = f"http://127.0.0.1:{plex.silent_port}"
    outcome = await prober.probe(local(old), local(new.url))
    assert best_uri(outcome) == new.url
    assert seen(outcome) == {new.url: outcome.best}


async def test_ipv6_of_a_better_tier(prober: Prober, listen: Listen) -> None:
    """The tier counts for more than the kind of address."""
    new, old = await listen("::1"), await listen()
    new.latency = 0.1
    outcome = await prober.probe(connection(old.url), local(new.url))
    assert best_uri(outcome) == new.url


@pytest.mark.parametrize("attempt", [1, 2])
async def test_answers_at_once(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    attempt: int,
    listen: Listen,
) -> None:
    """Answers that are seen together are weighed, in whatever order they come."""
    monkeypatch.setattr(connections_module, "STAGGER", 0)
    kinds = [("127.0.0.1", relay), ("127.0.0.1", connection)] * 4
    kinds += [("::1", local)] * 3 + [("127.0.0.1", local)]
    tried = [kind((await listen(address)).url) for address, kind in kinds]
    attic.latency = 0.3
    loop = asyncio.get_running_loop()

    def look_away() -> None:
        """Let all the answers come while nobody looks."""
        if len(plex.requests) < len(tried):
            loop.call_soon(look_away)
        else:
            time.sleep(0.35)

    look_away()
    outcome = await prober.probe(*tried)
    assert len(outcome.tried) == len(tried)
    assert best_uri(outcome) == tried[-1].uri


async def test_https(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    listen: Listen,
) -> None:
    """A certificate makes a connection better, if it is the right one."""
    resolver.patterns.append("*.plex.direct")
    right, wrong = [
        attic.add_listener(ssl_context=authority.server_context(f"{name}.plex.direct"))
        for name in ("right", "other")
    ]
    await attic.start()
    right_uri = f"https://right.plex.direct:{right.port}"
    wrong_uri = f"https://wrong.plex.direct:{wrong.port}"
    plain = await listen(secure=False)
    outcome = await prober.probe(local(plain.url), local(wrong_uri), local(right_uri))
    assert best_uri(outcome) == right_uri
    assert seen(outcome)[wrong_uri] is PlexCertificateError
    assert outcome.certificate_failed
    assert plex.requests.matching() == [
        received for received in plex.requests if received.port != wrong.port
    ]


# Where name servers tell no private addresses

NAME = "192-168-1-150.0123456789abcdef0123456789abcdef.plex.direct"


def hidden(
    port: int, *, address: str = "127.0.0.1", near: bool = True, name: str = NAME
) -> Connection:
    """Return a connection whose name no name server tells."""
    read = Connection.from_json(
        {"uri": f"https://{name}:{port}", "address": address, "local": near}
    )
    assert read is not None
    return read


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_hidden_name(
    prober: Prober, plex: PlexEmulator, listen: Listen, address: str
) -> None:
    """The address itself is tried, without encryption if there is no certificate."""
    listener = await listen(address, secure=False)
    named = hidden(listener.port, address=address)
    outcome = await prober.probe(named)
    assert outcome.best is not None
    assert outcome.best.connection == replace(
        named, uri=listener.url, protocol="http", pinned=False
    )
    assert at_address(replace(named, pinned=True)) == outcome.best.connection
    assert outcome.best.name_blocked
    assert outcome.only_unencrypted
    assert tier(outcome.best.connection) is ConnectionTier.LOCAL_HTTP
    assert seen(outcome) == {named.uri: PlexNameError, listener.url: outcome.best}
    assert [received.port for received in plex.requests] == [listener.port]

    # That it would answer is told where it may not be used, unless that is refused.
    prober.plain = PlainHttp.SHOWN
    outcome = await prober.probe(named)
    assert outcome.best is None
    assert outcome.only_unencrypted
    prober.plain = PlainHttp.REFUSED
    outcome = await prober.probe(named)
    assert seen(outcome) == {named.uri: PlexNameError}
    assert len(plex.requests) == 2


async def test_unencrypted_comes_last(prober: Prober, listen: Listen) -> None:
    """However fast it answers, who can prove who it is is waited for."""
    slow, plain = await listen(), await listen(secure=False)
    slow.latency = 0.6
    outcome = await prober.probe(relay(slow.url), local(plain.url))
    assert best_uri(outcome) == slow.url
    assert not outcome.only_unencrypted
    await slow.stop()
    outcome = await prober.probe(relay(slow.url), local(plain.url))
    assert best_uri(outcome) == plain.url


async def test_no_encryption_for_a_name_that_resolves(
    prober: Prober, plex: PlexEmulator, listen: Listen, resolver: LoopbackResolver
) -> None:
    """Who only breaks the secure connection does not get an insecure one."""
    resolver.patterns.append("*.plex.direct")
    plain = await listen(secure=False)
    plex.faults.add(Vanish(), port=plain.port)
    outcome = await prober.probe(hidden(plain.port))
    assert outcome.best is None
    assert plex.requests == []


async def test_hanging_name(
    identity: ClientIdentity, attic: MediaServer, authority: CertificateAuthority
) -> None:
    """Where name servers do not answer, an address is not kept waiting for them."""
    listener = attic.add_listener(ssl_context=authority.server_context(NAME))
    await listener.start()
    connector = TCPConnector(
        ssl=authority.client_context(), resolver=LoopbackResolver(delay=60)
    )
    async with ClientSession(connector=connector) as session:
        start = time.monotonic()
        prober = Prober(session, identity, attic.machine_identifier)
        outcome = await prober.outcome(
            hidden(listener.port), connection("https://remote.example.com:32400")
        )
    assert outcome.best is not None
    assert outcome.best.connection.pinned
    assert not outcome.best.name_blocked
    assert time.monotonic() - start < 2


async def test_many_at_a_time(
    prober: Prober, attic: MediaServer, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many are tried at a time, of all servers together; each has its turn."""
    monkeypatch.setattr(connections_module, "MAX_PROBES", 2)
    monkeypatch.setattr(connections_module, "PROBE_TIMEOUT", 0.3)
    async with raw_server() as silent:
        others = [
            asyncio.create_task(prober.outcome(*[local(silent.url)] * 4))
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        outcome = await prober.outcome(local(attic.url))
        assert best_uri(outcome) == attic.url
        assert silent.most == 2
        for task in others:
            await task


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_hidden_name_with_https(
    prober: Prober,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    authority: CertificateAuthority,
    address: str,
) -> None:
    """The name only serves to verify who is there."""
    right, wrong = [
        attic.add_listener(
            address=address, ssl_context=authority.server_context(certified)
        )
        for certified in (NAME, f"other.{NAME}")
    ]
    await attic.start()
    named = hidden(right.port, address=address)
    outcome = await prober.probe(named)
    assert outcome.best is not None
    assert outcome.best.connection == replace(named, pinned=True)
    assert outcome.best.name_blocked
    assert tier(outcome.best.connection) is ConnectionTier.LOCAL_HTTPS
    assert seen(outcome) == {named.uri: outcome.best}
    assert not outcome.certificate_failed

    client = PlexServerClient.at(
        outcome.best.connection,
        prober.session,
        prober.identity,
        token=attic.access_token(ada),
        machine_identifier=attic.machine_identifier,
    )
    assert (await client.get_server()).machine_identifier == attic.machine_identifier
    assert plex.requests[-1].port == right.port

    plex.requests.clear()
    outcome = await prober.probe(hidden(wrong.port, address=address))
    assert outcome.best is None
    assert plex.requests == []


async def test_not_hidden(
    prober: Prober, plex: PlexEmulator, attic: MediaServer
) -> None:
    """Only a private address that the name tells is tried in its place."""
    port = attic.listeners[0].port
    tried = [
        hidden(port, near=False),
        hidden(port, name="attic.example.com"),
        hidden(port, name=f"{NAME}.example.com"),
        hidden(port, name="attic.example.net"),
        hidden(port, name="notplex.direct"),
        replace(hidden(port), uri=f"http://{NAME}:{port}", protocol="http"),
        *(
            hidden(port, name=f"{number}.plex.direct", address=address)
            for number, address in enumerate(
                [
                    "plex.example.com",
                    "not an address",
                    "a/b",
                    "8.8.8.8",
                    "127.0.0.1:1",
                    "[::1]",
                ]
            )
        ),
    ]
    outcome = await prober.probe(*tried)
    assert seen(outcome) == {each.uri: PlexNameError for each in tried}
    assert plex.requests == []


async def test_name_is_known(
    prober: Prober,
    plex: PlexEmulator,
    attic: MediaServer,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads somewhere is not hidden, whatever is there."""
    monkeypatch.setattr(http, "_TIMEOUT", ClientTimeout(total=None, connect=0.4))
    resolver.patterns.append("*.plex.direct")
    other = attic.add_listener(ssl_context=authority.server_context("other"))
    await attic.start()
    async with raw_server() as silent:
        silent_port = URL(silent.url).port
        assert silent_port is not None
        expected = {
            hidden(other.port): PlexCertificateError,
            hidden(attic.listeners[0].port): PlexCertificateError,
            hidden(silent_port): PlexTimeoutError,
        }
        outcome = await prober.probe(*expected)
    assert seen(outcome) == {each.uri: kind for each, kind in expected.items()}
    assert outcome.certificate_failed
    assert plex.requests == []
    assert silent.connections == 1


async def test_wrong_server_behind_hidden_name(
    prober: Prober, plex: PlexEmulator, ada: Account
) -> None:
    """Who is at the address is asked, too."""
    cellar = await plex.add_server("Cellar", owner=ada, secure=False)
    named = hidden(cellar.listeners[0].port)
    outcome = await prober.probe(named)
    assert outcome.best is None
    assert seen(outcome) == {named.uri: PlexNameError}
    assert [received.host for received in plex.requests] == ["Cellar"]
    assert plex.requests[0].token == ""


def test_rank() -> None:
    """Encryption counts most, then the tier, whether the name works, and the address.

    An address of the older kind comes first.
    """
    best = hidden(1)
    ranked = [
        best,
        replace(best, ipv6=True),
        replace(best, pinned=True),
        replace(best, pinned=True, ipv6=True),
        replace(best, local=False),
        replace(best, relay=True),
        replace(best, protocol="http"),
    ]
    worst_first = ranked[::-1]
    assert sorted(worst_first, key=connections_module.rank) == ranked
