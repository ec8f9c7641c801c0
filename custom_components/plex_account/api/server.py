"""The security API of a Plex Media Server."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Self

from aiohttp import ClientSession
from yarl import URL

from .exceptions import PlexNotFoundError, PlexResponseError
from .http import MAX_RETRIES, ClientIdentity, Json, request
from .models import (
    Connection,
    ServerIdentity,
    SourceConnectionInformation,
    TransientToken,
)


class PlexServerClient:
    """A client of one Plex Media Server at one of its addresses.

    The session is the caller's and stays open. `base_url` is the URI of a connection,
    and `token` one that this very server accepts: its access token from plex.tv, or a
    transient token. With an `address` the name in `base_url` is not looked up, only
    used to verify the certificate. A request is tried again up to `retries` times, as
    `request` says; who knows another address may prefer to try that. Every method
    raises a PlexError if the server cannot be reached or refuses; what is said of
    exceptions below is about the kinds that a caller may want to tell apart.
    """

    def __init__(
        self,
        session: ClientSession,
        identity: ClientIdentity,
        *,
        base_url: str,
        token: str | None,
        address: str | None = None,
        retries: int = MAX_RETRIES,
    ) -> None:
        """Keep what every request needs; nothing is sent."""
        self._session = session
        self._identity = identity
        # As text: yarl remembers what it has parsed, but not what it has joined.
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._address = address
        self._retries = retries

    @classmethod
    def at(
        cls,
        connection: Connection,
        session: ClientSession,
        identity: ClientIdentity,
        token: str | None,
        *,
        retries: int = MAX_RETRIES,
    ) -> Self:
        """Return a client that uses a connection."""
        return cls(
            session,
            identity,
            base_url=connection.uri,
            token=token,
            address=connection.address if connection.pinned else None,
            retries=retries,
        )

    async def get_identity(self) -> ServerIdentity:
        """Return which server answers at this address.

        The token is not sent, since another server may live there, and the answer says
        nothing about it. Tried once.
        Source: GET /identity.
        """
        return ServerIdentity.from_json(
            await request(
                self._session,
                self._identity,
                "GET",
                URL(f"{self._base_url}/identity"),
                retries=0,
                address=self._address,
            )
        )

    async def get_server(self) -> ServerIdentity:
        """Return which server answers, if it accepts the token.

        Source: GET /, the cheapest request that needs a token.
        Raises PlexAuthenticationError if it does not, as after a restart.
        """
        return ServerIdentity.from_json(await self._request(""))

    async def get_transient_token(self) -> TransientToken:
        """Return a new transient token with the rights of the token we have.

        Plex does not tell when the token expires; it lives at most 48 hours, counted
        here from before the request, and dies when the server restarts.
        Source: GET /security/token, with the only type and scope there are.
        Raises PlexAuthenticationError or PlexPermissionError if the token is not
        accepted or may not be delegated.
        """
        issued_at = datetime.now(UTC)
        return TransientToken.from_json(
            await self._request(
                "security/token", {"type": "delegation", "scope": "all"}
            ),
            issued_at,
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
            information = SourceConnectionInformation.from_json(
                await self._request("security/resources", params)
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

    async def _request(self, path: str, params: dict[str, str] | None = None) -> Json:
        """Send a request with the token."""
        return await request(
            self._session,
            self._identity,
            "GET",
            URL(f"{self._base_url}/{path}"),
            token=self._token,
            params=params,
            retries=self._retries,
            address=self._address,
        )
