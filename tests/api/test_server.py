"""What a media server is asked for, and what is made of its answers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aiohttp import ClientSession
import pytest

from custom_components.plex_account.api import (
    ClientIdentity,
    Connection,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexNotFoundError,
    PlexPermissionError,
    PlexResponseError,
    PlexServerClient,
    PlexServerError,
    ServerIdentity,
    SourceConnectionInformation,
)
from tests.plex_emulator import (
    Account,
    Answer,
    CertificateAuthority,
    Connection as ListedConnection,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Provider,
    Reply,
    Vanish,
    error,
)
from tests.plex_emulator.faults import Fault

from . import both_formats

NAME = '<b>Attic & "Co"</b> 🎬'
PLEX_DIRECT = "127-0-0-1.0123456789abcdef0123456789abcdef.plex.direct"


# Who is there


@both_formats
@pytest.mark.parametrize("claimed", [True, False])
async def test_identity(
    pms: PlexServerClient, plex: PlexEmulator, attic: MediaServer, claimed: bool
) -> None:
    """Who answers is asked for without the token, and without saying who asks."""
    attic.claimed = claimed
    assert await pms.get_identity() == ServerIdentity(
        machine_identifier=attic.machine_identifier,
        version="1.43.4.10903-e5521bd8c",
        claimed=claimed,
    )
    (received,) = plex.requests
    assert (received.host, received.method) == ("Attic", "GET")
    assert received.path == "/identity"
    assert dict(received.query) == {}
    assert received.token == ""
    assert "X-Plex-Token" not in received.headers
    assert received.client_identifier == ""
    assert not any(name.startswith("X-Plex") for name in received.headers)
    assert received.headers["User-Agent"] == "Plex client"


@pytest.mark.parametrize("fault", [Vanish(), error(503)], ids=repr)
async def test_identity_is_asked_for_once(
    pms: PlexServerClient, plex: PlexEmulator, fault: Fault
) -> None:
    """There are other addresses to try."""
    plex.faults.add(fault)
    with pytest.raises((PlexConnectionError, PlexServerError)):
        await pms.get_identity()
    assert len(plex.requests) == 1


@both_formats
async def test_get_server(
    pms: PlexServerClient, plex: PlexEmulator, attic: MediaServer, ada: Account
) -> None:
    """With the token it is asked whether the token is good."""
    assert await pms.get_server() == ServerIdentity(
        machine_identifier=attic.machine_identifier,
        version="1.43.4.10903-e5521bd8c",
        claimed=True,
    )
    (received,) = plex.requests
    assert (received.method, received.path) == ("GET", "/")
    assert received.headers["X-Plex-Token"] == attic.access_token(ada)
    assert dict(received.query) == {}
    attic.revoke(ada)
    with pytest.raises(PlexAuthenticationError) as caught:
        await pms.get_server()
    assert caught.value.status == 401
    attic.claimed = False
    assert (await pms.get_server()).claimed is False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b"{}",
        b'{"MediaContainer": null}',
        b'{"MediaContainer": []}',
        b'{"MediaContainer": {}}',
        b'{"MediaContainer": {"machineIdentifier": 1, "token": 1}}',
        b'{"MediaContainer": {"machineIdentifier": null, "token": null}}',
        b'{"MediaContainer": {"machineIdentifier": "", "token": ""}}',
        b"<MediaContainer/>",
        b'<MediaContainer machineIdentifier="" token=""/>',
        b"<html><head/><body/></html>",
    ],
)
async def test_wrong_shape(
    pms: PlexServerClient, plex: PlexEmulator, body: bytes
) -> None:
    """What is JSON or XML but not what was asked for is refused."""
    plex.faults.add(Reply(Answer(200, body)))
    for ask in (pms.get_identity, pms.get_server, pms.get_transient_token):
        with pytest.raises(PlexResponseError):
            await ask()


@pytest.mark.parametrize("retries", [0, 1])
async def test_fewer_retries(
    session: ClientSession,
    identity: ClientIdentity,
    plex: PlexEmulator,
    attic: MediaServer,
    retries: int,
) -> None:
    """Who knows another address wants fewer attempts at this one."""
    plex.faults.add(Vanish())
    at_attic = Connection.from_json({"uri": attic.url})
    assert at_attic is not None
    client = PlexServerClient.at(
        at_attic,
        session,
        identity,
        token="token",
        machine_identifier=attic.machine_identifier,
        retries=retries,
    )
    with pytest.raises(PlexConnectionError):
        await client.get_server()
    assert len(plex.requests) == 1 + retries


async def test_usual_retries(pms: PlexServerClient, plex: PlexEmulator) -> None:
    """Unless told otherwise, two more attempts are made."""
    plex.faults.add(Vanish())
    with pytest.raises(PlexConnectionError):
        await pms.get_server()
    assert len(plex.requests) == 3


# Addresses


async def test_ipv6(
    session: ClientSession, identity: ClientIdentity, attic: MediaServer
) -> None:
    """An address may be of the newer kind."""
    listener = attic.add_listener(address="::1")
    await listener.start()
    client = PlexServerClient(session, identity, base_url=listener.url, token=None)
    server = await client.get_identity()
    assert server.machine_identifier == attic.machine_identifier


@pytest.mark.parametrize("end", ["", "/"])
async def test_path(
    session: ClientSession,
    identity: ClientIdentity,
    plex: PlexEmulator,
    attic: MediaServer,
    end: str,
) -> None:
    """A server may be below a path of another one."""
    base_url = f"{attic.url}/my/plex{end}"
    client = PlexServerClient(session, identity, base_url=base_url, token="token")
    with pytest.raises(PlexError):
        await client.get_identity()
    with pytest.raises(PlexError):
        await client.get_transient_token()
    assert [received.path for received in plex.requests] == [
        "/my/plex/identity",
        "/my/plex/security/token",
    ]


@pytest.mark.parametrize(
    ("trusted", "name", "works"),
    [
        (True, PLEX_DIRECT, True),
        (True, f"other.{PLEX_DIRECT}", False),
        (False, PLEX_DIRECT, False),
    ],
)
async def test_https(
    session: ClientSession,
    identity: ClientIdentity,
    plex: PlexEmulator,
    attic: MediaServer,
    ada: Account,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    trusted: bool,
    name: str,
    works: bool,
) -> None:
    """Nothing is sent to a server whose certificate is another's."""
    resolver.patterns.append("*.plex.direct")
    issuer = authority if trusted else CertificateAuthority()
    listener = attic.add_listener(ssl_context=issuer.server_context(name))
    await listener.start()
    client = PlexServerClient(
        session,
        identity,
        base_url=f"https://{PLEX_DIRECT}:{listener.port}",
        token=attic.access_token(ada),
    )
    if works:
        await client.get_server()
        assert len(plex.requests) == 1
        return
    with pytest.raises(PlexConnectionError) as caught:
        await client.get_server()
    assert str(caught.value) == "GET /: ClientConnectorCertificateError"
    assert plex.requests == []


# Transient tokens


@both_formats
async def test_transient_token(
    session: ClientSession,
    identity: ClientIdentity,
    pms: PlexServerClient,
    plex: PlexEmulator,
    attic: MediaServer,
    ada: Account,
) -> None:
    """A new token is as good as the old one, until the server restarts."""
    before = datetime.now(UTC)
    token = await pms.get_transient_token()
    (minted,) = attic.transient_tokens
    assert token.token == minted.text
    assert before <= token.issued_at <= datetime.now(UTC)
    assert token.issued_at <= datetime.fromtimestamp(minted.issued_at, UTC)
    assert token.expires_at == token.issued_at + timedelta(hours=48)
    assert token.token not in repr(token)
    assert token.token not in str(token)
    (received,) = plex.requests
    assert (received.method, received.path) == ("GET", "/security/token")
    assert dict(received.query) == {"type": "delegation", "scope": "all"}
    assert received.headers["X-Plex-Token"] == attic.access_token(ada)

    client = PlexServerClient(session, identity, base_url=attic.url, token=token.token)
    await client.get_server()
    await attic.restart()
    with pytest.raises(PlexAuthenticationError) as caught:
        await client.get_server()
    assert caught.value.status == 401
    assert await pms.get_server()


async def test_transient_token_of_a_transient_token(
    session: ClientSession,
    identity: ClientIdentity,
    pms: PlexServerClient,
    attic: MediaServer,
) -> None:
    """What may not be delegated is no matter of authentication."""
    token = await pms.get_transient_token()
    client = PlexServerClient(session, identity, base_url=attic.url, token=token.token)
    assert (await client.get_transient_token()).token != token.token
    attic.transient_tokens_may_mint = False
    with pytest.raises(PlexPermissionError) as caught:
        await client.get_transient_token()
    assert caught.value.status == 403


@pytest.mark.parametrize("token", [None, "", "dead", "eyJh.eyJleHAiOiAxfQ.sig"])
async def test_no_token(
    session: ClientSession,
    identity: ClientIdentity,
    attic: MediaServer,
    token: str | None,
) -> None:
    """Without a good token nothing secret is told."""
    client = PlexServerClient(session, identity, base_url=attic.url, token=token)
    for ask in (client.get_server, client.get_transient_token):
        with pytest.raises(PlexAuthenticationError) as caught:
            await ask()
        assert caught.value.status == 401
    with pytest.raises(PlexAuthenticationError):
        await client.get_source_connection_information("server://x")


@pytest.mark.parametrize("token", ["n\u00e4", "a b", "\ttab", "new\nline", "\x7f"])
async def test_odd_transient_token(
    pms: PlexServerClient, plex: PlexEmulator, token: str
) -> None:
    """What can't be sent in a header is no token, except for the spaces in it."""
    quoted = token.encode("unicode_escape").replace(b"\\x", b"\\u00")
    body = b'{"MediaContainer": {"token": "%b"}}' % quoted
    plex.faults.add(Reply(Answer(200, body)))
    if token == "a b":
        assert (await pms.get_transient_token()).token == token
        return
    with pytest.raises(PlexResponseError):
        await pms.get_transient_token()


# Sources


@both_formats
@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("port_as_string", [False, True])
async def test_source(
    pms: PlexServerClient,
    plex: PlexEmulator,
    attic: MediaServer,
    ada: Account,
    array: bool,
    port_as_string: bool,
) -> None:
    """Where a source can be reached is read in all its ways of writing."""
    attic.device_as_array = array
    attic.port_as_string = port_as_string
    cellar = await plex.add_server("Cellar", owner=ada)
    cellar.name = NAME
    cellar.listing.connections = [
        ListedConnection(cellar.url, "127.0.0.1"),
        ListedConnection("https://relay.plex.direct:8443", "::1", False, True),
    ]
    source = f"server://{cellar.machine_identifier}"
    information = await pms.get_source_connection_information(source)
    (minted,) = cellar.transient_tokens
    assert information == SourceConnectionInformation(
        name=f"{NAME} (ada)",
        client_identifier=cellar.machine_identifier,
        access_token=minted.text,
        connections=(
            Connection(
                uri=cellar.url,
                protocol="https",
                address="127.0.0.1",
                port=cellar.listeners[0].port,
                local=True,
                relay=False,
                ipv6=False,
            ),
            Connection(
                uri="https://relay.plex.direct:8443",
                protocol="https",
                address="::1",
                port=8443,
                local=False,
                relay=True,
                ipv6=True,
            ),
        ),
    )
    assert minted.text not in repr(information)
    assert minted.text not in str(information)
    (received,) = plex.requests
    assert (received.host, received.method) == ("Attic", "GET")
    assert received.path == "/security/resources"
    assert dict(received.query) == {"source": source}
    assert received.headers["X-Plex-Token"] == attic.access_token(ada)


async def test_refresh(
    pms: PlexServerClient, plex: PlexEmulator, attic: MediaServer
) -> None:
    """A server can be made to look anew."""
    source = f"server://{attic.machine_identifier}"
    await pms.get_source_connection_information(source, refresh=True)
    assert dict(plex.requests[0].query) == {"source": source, "refresh": "1"}


@both_formats
async def test_provider(
    pms: PlexServerClient, plex: PlexEmulator, attic: MediaServer
) -> None:
    """A source can be in the cloud, or nowhere."""
    plex.providers.append(Provider("tv.plex.nowhere", ""))
    information = await pms.get_source_connection_information(
        "provider://tv.plex.nowhere"
    )
    assert information == replace(
        information, name=None, client_identifier="tv.plex.nowhere", connections=()
    )
    assert information.access_token in plex.secrets


@both_formats
@pytest.mark.parametrize("status", [400, 404, 200])
async def test_unknown_source(
    pms: PlexServerClient, plex: PlexEmulator, attic: MediaServer, status: int
) -> None:
    """An unknown source is not found, however a server says so."""
    attic.unknown_source_status = status
    source = "server://0000000000000000000000000000000000000000"
    with pytest.raises(PlexNotFoundError) as caught:
        await pms.get_source_connection_information(source)
    assert caught.type is PlexNotFoundError
    assert len(plex.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"MediaContainer": {"Device": null}}',
        b'{"MediaContainer": {"Device": []}}',
        b'{"MediaContainer": {"Device": [null]}}',
        b'{"MediaContainer": {"Device": "Attic"}}',
    ],
)
async def test_no_device(
    pms: PlexServerClient, plex: PlexEmulator, body: bytes
) -> None:
    """An answer without a device is one that knows none."""
    plex.faults.add(Reply(Answer(200, body)))
    with pytest.raises(PlexNotFoundError, match="No such source: server://x"):
        await pms.get_source_connection_information("server://x")


@pytest.mark.parametrize(
    "device", [b"{}", b"[{}]", b'{"Connection": [{}, null, 1]}', b'{"accessToken": 1}']
)
async def test_empty_device(
    pms: PlexServerClient, plex: PlexEmulator, device: bytes
) -> None:
    """A device without a token and a connection is of no use to anybody."""
    body = b'{"MediaContainer": {"Device": %b}}' % device
    plex.faults.add(Reply(Answer(200, body)))
    with pytest.raises(PlexResponseError):
        await pms.get_source_connection_information("server://x")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(302, kind="html"), PlexResponseError),
        (error(401, kind="html"), PlexAuthenticationError),
        (error(403, kind="html"), PlexPermissionError),
        (error(405, kind="html"), PlexResponseError),
        (error(500, kind="html"), PlexServerError),
        (error(200, kind="html"), PlexResponseError),
        (Reply(Answer(200)), PlexResponseError),
        (Reply(Answer(200, b"[]")), PlexResponseError),
        (Vanish(), PlexConnectionError),
    ],
    ids=repr,
)
async def test_source_fails(
    pms: PlexServerClient, plex: PlexEmulator, fault: Fault, expected: type[PlexError]
) -> None:
    """No other failure is taken for an unknown source."""
    plex.faults.add(fault)
    with pytest.raises(PlexError) as caught:
        await pms.get_source_connection_information("server://x")
    assert caught.type is expected


async def test_source_of_old_server(pms: PlexServerClient, attic: MediaServer) -> None:
    """Servers before 1.15.4 do not know the question."""
    source = f"server://{attic.machine_identifier}"
    attic.listing.product_version = "1.15.3.876-ad6e39743"
    with pytest.raises(PlexNotFoundError) as caught:
        await pms.get_source_connection_information(source)
    assert caught.value.status == 404
    attic.listing.product_version = "1.15.4.919-de6e39743"
    assert await pms.get_source_connection_information(source)


@pytest.fixture
def guest(
    session: ClientSession,
    identity: ClientIdentity,
    plex: PlexEmulator,
    attic: MediaServer,
    grace: Account,
) -> PlexServerClient:
    """Return a client of somebody with whom the server is shared."""
    plex.share(attic, grace)
    token = attic.access_token(grace)
    return PlexServerClient(session, identity, base_url=attic.url, token=token)


async def test_server_of_others(
    guest: PlexServerClient, plex: PlexEmulator, attic: MediaServer, grace: Account
) -> None:
    """Whose token is good is also told to who is refused what is the owner's."""
    plex.faults.add(error(403, kind="html"), path="/")
    server = await guest.get_server(owned=False)
    assert server.machine_identifier == attic.machine_identifier
    asked = [(request.path, request.token) for request in plex.requests]
    token = attic.access_token(grace)
    assert asked == [("/identity", ""), ("/library/sections", token)]
    rule = plex.faults.add(Reply(Answer(200, b"{}")), path="/library/sections")
    with pytest.raises(PlexResponseError):
        await guest.get_server(owned=False)
    plex.faults.remove(rule)
    attic.revoke(grace)
    with pytest.raises(PlexAuthenticationError):
        await guest.get_server(owned=False)


async def test_source_of_shared_server(
    guest: PlexServerClient, attic: MediaServer
) -> None:
    """Only the owner may ask."""
    assert await guest.get_server()
    with pytest.raises(PlexPermissionError) as caught:
        await guest.get_source_connection_information(
            f"server://{attic.machine_identifier}"
        )
    assert caught.value.status == 403
