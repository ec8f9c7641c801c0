"""One Plex Media Server: who it is, its tokens and files, and what it tells unasked."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import Self

from aiohttp import ClientResponse, ClientSession
from yarl import URL

from .exceptions import PlexNotFoundError, PlexResponseError, PlexWrongServerError
from .http import (
    DETAILS_SIZE,
    LIST_SIZE,
    MAX_RETRIES,
    TOKEN_SIZE,
    ClientIdentity,
    PlexSession,
)
from .models import ServerIdentity, TransientToken
from .reading import Json, root
from .remote_access import ServerAccount, concerns_remote_access, is_published
from .resources import Connection, SourceConnectionInformation

# What the server is to tell; the scan of a library alone would be 1,600 messages.
_FILTERS = {"filters": "reachability,preference"}


class PushEvent(Enum):
    """What a server tells unasked."""

    OPEN = auto()
    """Nothing but that it will tell from now on."""
    REMOTE_ACCESS = auto()
    """Whether it can be reached from outside may have changed."""


class PlexServerClient:
    """A client of one Plex Media Server at one of its addresses.

    The session is the caller's and stays open. `base_url` is the URI of a connection,
    and `token` one that this very server accepts: its access token from plex.tv, or a
    transient token. `machine_identifier` is that of the server that is expected there.
    With an `address` the name in `base_url` is not looked up, only used to verify the
    certificate. A request is tried again up to `retries` times, as `PlexSession` says;
    who knows another address may prefer to try that. Every method raises a PlexError if
    the server cannot be reached or refuses; what is said of exceptions below is about
    the kinds that a caller may want to tell apart.
    """

    def __init__(
        self,
        session: ClientSession,
        identity: ClientIdentity,
        *,
        base_url: str,
        token: str | None,
        machine_identifier: str | None = None,
        address: str | None = None,
        retries: int = MAX_RETRIES,
    ) -> None:
        """Keep what every request needs; nothing is sent."""
        self._session = PlexSession(session, identity, address)
        # As text: yarl remembers what it has parsed, but not what it has joined.
        self._base_url = base_url.rstrip("/")
        self._is_encrypted = URL(base_url).scheme == "https"
        self._token = token
        self._machine_identifier = machine_identifier
        self._retries = retries

    @classmethod
    def at(
        cls,
        connection: Connection,
        session: ClientSession,
        identity: ClientIdentity,
        *,
        token: str | None,
        machine_identifier: str,
        retries: int = MAX_RETRIES,
    ) -> Self:
        """Return a client that uses a connection."""
        return cls(
            session,
            identity,
            base_url=connection.uri,
            token=token,
            machine_identifier=machine_identifier,
            address=connection.address if connection.pinned else None,
            retries=retries,
        )

    async def get_identity(self) -> ServerIdentity:
        """Return which server answers at this address.

        Neither the token nor anything about us is sent, since another server may live
        there, and the answer says nothing about the token. Tried once.
        Source: GET /identity.
        Raises PlexWrongServerError if it is not the server that is expected.
        """
        answer = await self._session.request(
            "GET",
            URL(f"{self._base_url}/identity"),
            size=TOKEN_SIZE,
            retries=0,
            anonymous=True,
        )
        return self._expected(await answer.read(ServerIdentity.from_json))

    async def get_server(self, *, owned: bool = True) -> ServerIdentity:
        """Return which server answers, if it accepts the token.

        Source: GET /, the cheapest request that needs a token; but GET /identity and
        GET /library/sections for who is not its owner, as others may be refused that.
        Raises PlexAuthenticationError if it does not, as after a restart, and
        PlexWrongServerError if it is not the server that is expected.
        """
        if not owned:
            server = await self.get_identity()
            await self.request(
                "library/sections", LIST_SIZE, lambda body: root(body, "MediaContainer")
            )
            return server
        return self._expected(
            await self.request("", DETAILS_SIZE, ServerIdentity.from_json)
        )

    async def get_transient_token(self) -> TransientToken:
        """Return a new transient token with the rights of the token we have.

        Plex does not tell when the token expires; it lives at most 48 hours, counted
        here from before the request, and dies when the server restarts.
        Source: GET /security/token, with the only type and scope there are.
        Raises PlexAuthenticationError or PlexPermissionError if the token is not
        accepted or may not be delegated.
        """
        issued_at = datetime.now(UTC)
        return await self.request(
            "security/token",
            TOKEN_SIZE,
            partial(TransientToken.from_json, issued_at=issued_at),
            {"type": "delegation", "scope": "all"},
        )

    async def get_source_connection_information(
        self, source: str, *, refresh: bool = False
    ) -> SourceConnectionInformation:
        """Return where a source that this server knows can be reached.

        `source` is `server://` or `provider://` and an identifier; `refresh` makes the
        server look it up anew. Needs the owner's token or a transient one made from it,
        and version 1.15.4 of the server.
        Source: GET /security/resources.
        Raises PlexNotFoundError for a source that the server does not know,
        PlexPermissionError for a token that may not ask.
        """
        params = {"source": source}
        if refresh:
            params["refresh"] = "1"
        try:
            information = await self.request(
                "security/resources",
                DETAILS_SIZE,
                SourceConnectionInformation.from_json,
                params,
            )
        except PlexResponseError as err:
            # Not documented: servers may answer an unknown source with 400, 404 or
            # an empty 200, so all of them mean the same here.
            if err.status != HTTPStatus.BAD_REQUEST:
                raise
            information = None
        if information is None:
            raise PlexNotFoundError(f"No such source: {source}")
        return information

    async def get_account(self) -> ServerAccount:
        """Return which account the server is signed in to, and its remote access.

        Only asks what the server knows; it is not made to try anything.
        Source: GET /:/prefs and GET /myplex/account, both for the owner only.
        Raises PlexPermissionError if the token is not the owner's.
        """
        published = await self.request(":/prefs", DETAILS_SIZE, is_published)
        return await self.request(
            "myplex/account",
            DETAILS_SIZE,
            partial(ServerAccount.from_json, published=published),
        )

    async def listen(self) -> AsyncGenerator[PushEvent]:
        """Yield OPEN, and then what the server tells, until it stops or is gone.

        The server is asked for a sign of life every 15 seconds. It is left to the
        caller whether to listen again.
        Source: the WebSocket /:/websockets/notifications. Who may listen is not
        documented: the owner may, others mostly.
        Raises PlexAuthenticationError if the token is not accepted, and any other
        PlexError where there is no such thing on the way.
        """
        await self._expect_server()
        messages = self._session.listen(
            URL(f"{self._base_url}/:/websockets/notifications"),
            token=self._token,
            params=_FILTERS,
        )
        async with aclosing(messages):
            async for message in messages:
                if message is None:
                    yield PushEvent.OPEN
                elif concerns_remote_access(message):
                    yield PushEvent.REMOTE_ACCESS

    async def stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> ClientResponse:
        """Return the answer for a file or a picture, to be read and closed.

        `path` begins with a slash, and is one that a list of the server has; `headers`
        say which part is wanted. Its body is read as `PlexSession.stream` says. Raises
        a PlexError if there is none.
        """
        await self._expect_server()
        return await self._session.stream(
            method,
            URL(f"{self._base_url}{path}"),
            token=self._token or "",
            headers=headers,
            params=params,
        )

    async def _expect_server(self) -> None:
        """Check who answers before the token is sent."""
        # Where no certificate proves it, an address may have become another machine's.
        if self._machine_identifier and not self._is_encrypted:
            await self.get_identity()

    async def request[T](
        self,
        path: str,
        size: int,
        reader: Callable[[Json], T],
        params: dict[str, str] | None = None,
    ) -> T:
        """Send a request with the token, and read the answer."""
        await self._expect_server()
        answer = await self._session.request(
            "GET",
            URL(f"{self._base_url}/{path}"),
            size=size,
            token=self._token,
            params=params,
            retries=self._retries,
        )
        return await answer.read(reader)

    def _expected(self, server: ServerIdentity) -> ServerIdentity:
        """Return a server if it is the one that is expected."""
        if self._machine_identifier in {None, server.machine_identifier}:
            return server
        raise PlexWrongServerError("Another server answers")
