"""The way to one server: found, checked, and provided with a token that works there.

Nothing here knows of an account: that nothing answers, or that a token is not accepted,
is raised, and the coordinator decides whom to ask about it.
"""

from dataclasses import dataclass, replace

from aiohttp import ClientSession

from .api import (
    ClientIdentity,
    Connection,
    PlainHttp,
    PlexServerClient,
    ProbeOutcome,
    Resource,
    ServerAccount,
    ServerIdentity,
    TransientToken,
    is_encrypted,
    kind_rank,
    plain_http,
    probe_connections,
    usable_connections,
)
from .identity import identity_at_server


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexServerData:
    """All that is known of a server, and all that anybody gets to see of it.

    `resource` is what plex.tv lists, `server` what the server told of itself. The
    server answered at `connection` if it is `reachable`, and has accepted `token`; both
    are kept when it no longer answers, the former beyond a restart. `outcome` is what
    the last look for connections has shown, nothing while it has to be looked for anew,
    `account` what an own server told of the
    account that it is signed in to and of its remote access. `https_worked` says that a
    certificate has proven once who answers, `plex_tv_answers` that names of the
    internet resolve.
    """

    resource: Resource
    https_worked: bool
    reachable: bool = False
    server: ServerIdentity | None = None
    connection: Connection | None = None
    name_blocked: bool = False
    plex_tv_answers: bool = False
    token: TransientToken | None = None
    outcome: ProbeOutcome | None = None
    account: ServerAccount | None = None

    @property
    def version(self) -> str | None:
        """Return the version that the server tells, or plex.tv of it."""
        told = self.server.version if self.server else None
        return told or self.resource.product_version

    @property
    def only_unencrypted(self) -> bool | None:
        """Return if the server could only be reached in a way that is not used."""
        if self.reachable:
            return False
        return self.outcome.only_unencrypted if self.outcome else None

    @property
    def certificate_is_good(self) -> bool:
        """Return if no name that was tried has a certificate that is another's."""
        return self.outcome is None or not self.outcome.certificate_failed


class ServerConnector:
    """Connects to a server; each method returns what it has found out."""

    def __init__(
        self, session: ClientSession, identity: ClientIdentity, machine_identifier: str
    ) -> None:
        """Keep what is needed to ask; nothing is sent."""
        self._session = session
        self._identity = identity_at_server(identity, machine_identifier)
        self._machine_identifier = machine_identifier

    def client(
        self, connection: Connection, token: str | None, *, retries: int = 0
    ) -> PlexServerClient:
        """Return a client, which does not insist: there may be a better address."""
        return PlexServerClient.at(
            connection,
            self._session,
            self._identity,
            token=token,
            machine_identifier=self._machine_identifier,
            retries=retries,
        )

    async def check(self, data: PlexServerData) -> PlexServerData:
        """Check that connection and token still work; raise the PlexError if not."""
        assert data.connection
        assert data.token
        client = self.client(data.connection, data.token.token)
        server = await client.get_server(owned=data.resource.owned)
        return replace(data, server=server)

    def may_be_used(self, data: PlexServerData) -> bool:
        """Return if the present connection is none that must no longer be used."""
        return (
            data.connection is None
            or is_encrypted(data.connection)
            or _plain_http(data) is PlainHttp.ALLOWED
        )

    def has_better(self, data: PlexServerData) -> bool:
        """Return if there may be a connection of a better kind than the present one."""
        return bool(_better(data))

    async def improve(self, data: PlexServerData) -> PlexServerData:
        """Move to a connection of a better kind, if one works."""
        assert data.connection
        outcome = await self._probe(data, _better(data))
        # What was tried may lead to an address that is no better.
        best = outcome.best
        if best and (
            best.connection == data.connection
            or kind_rank(best.connection) < kind_rank(data.connection)
        ):
            return _connected(data, outcome)
        return replace(data, outcome=outcome)

    async def find(self, data: PlexServerData) -> PlexServerData:
        """Look for the server at all of its connections."""
        outcome = await self._probe(data, _usable(data))
        if outcome.best is None:
            return replace(data, reachable=False, outcome=outcome)
        return _connected(data, outcome)

    async def renew_token(
        self, data: PlexServerData, *, retries: int
    ) -> PlexServerData:
        """Get a new transient token by the one that plex.tv lists.

        Raises the PlexError of the server's answer.
        """
        assert data.connection
        token = data.resource.access_token
        client = self.client(data.connection, token, retries=retries)
        return replace(data, token=await client.get_transient_token())

    async def _probe(
        self, data: PlexServerData, connections: list[Connection]
    ) -> ProbeOutcome:
        """Try connections."""
        return await probe_connections(
            self._session,
            self._identity,
            self._machine_identifier,
            connections,
            _plain_http(data),
        )


def _plain_http(data: PlexServerData) -> PlainHttp:
    """Return what may be done without encryption."""
    return plain_http(data.resource, https_worked=data.https_worked)


def _usable(data: PlexServerData) -> list[Connection]:
    """Return the connections that may be tried."""
    return usable_connections(
        data.resource.connections, data.resource, _plain_http(data)
    )


def _better(data: PlexServerData) -> list[Connection]:
    """Return those of a better kind than the present one."""
    assert data.connection
    present = kind_rank(data.connection)
    return [
        connection for connection in _usable(data) if kind_rank(connection) < present
    ]


def _connected(data: PlexServerData, outcome: ProbeOutcome) -> PlexServerData:
    """Return that the best connection that was found is used from now on."""
    assert outcome.best
    best = outcome.best
    return replace(
        data,
        reachable=True,
        connection=best.connection,
        server=best.server,
        name_blocked=best.name_blocked,
        outcome=outcome,
    )
