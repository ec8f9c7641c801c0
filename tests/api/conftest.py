"""Fixtures of the client's tests: a session, and a client of each kind."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from aiohttp import ClientSession, TCPConnector
import pytest
from yarl import URL

from custom_components.plex_account.api import (
    ClientIdentity,
    PlexServerClient,
    PlexTvClient,
)
from custom_components.plex_account.api.reading import Json
from tests.const import CLIENT_IDENTIFIER
from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
)
from tests.plex_emulator.host import Host

from . import PATH, TOKEN, Fetch, request


@pytest.fixture
async def session(
    authority: CertificateAuthority, resolver: LoopbackResolver
) -> AsyncGenerator[ClientSession]:
    """Return a session that asks no real name server."""
    connector = TCPConnector(ssl=authority.client_context(), resolver=resolver)
    async with ClientSession(connector=connector) as client_session:
        yield client_session


@pytest.fixture(params=[False, True], ids=["json", "xml"])
def formats(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that Plex answers be JSON, or XML."""
    monkeypatch.setattr(Host, "xml_only", request.param)


@pytest.fixture
def visitor(
    plex: PlexEmulator, session: ClientSession, identity: ClientIdentity
) -> PlexTvClient:
    """Return a client of plex.tv that is not signed in."""
    return PlexTvClient(session, identity, server_url=plex.url)


@pytest.fixture
def tv(visitor: PlexTvClient, plex: PlexEmulator, ada: Account) -> PlexTvClient:
    """Return a client of plex.tv that Ada has signed in."""
    visitor.token = plex.tv.issue(ada, CLIENT_IDENTIFIER).text
    return visitor


@pytest.fixture
def pms(
    session: ClientSession, identity: ClientIdentity, ada: Account, attic: MediaServer
) -> PlexServerClient:
    """Return a client of Ada's server with her token for it."""
    return PlexServerClient(
        session, identity, base_url=attic.url, token=attic.access_token(ada)
    )


@pytest.fixture
def url(plex: PlexEmulator) -> URL:
    """Return what is asked for: something where a test says what is answered."""
    return URL(plex.url + PATH)


@pytest.fixture
def fetch(session: ClientSession, identity: ClientIdentity, url: URL) -> Fetch:
    """Return what sends a GET with a token."""

    async def fetch() -> Json:
        return await request(session, identity, "GET", url, token=TOKEN)

    return fetch


@pytest.fixture
def send(
    session: ClientSession, identity: ClientIdentity, url: URL
) -> Callable[[str], Awaitable[Json]]:
    """Return what sends a request of any method with a token."""

    async def send(method: str) -> Json:
        return await request(session, identity, method, url, token=TOKEN)

    return send
