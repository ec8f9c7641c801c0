"""Look up where a Plex source can be reached, and with what token."""

import asyncio
from dataclasses import dataclass, replace

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .api import (
    PlexError,
    PlexNotFoundError,
    PlexServerClient,
    ProbeOutcome,
    Resource,
    SourceConnectionInformation,
    probe_connections,
    usable_connections,
)
from .coordinator import PlexAccountCoordinator, PlexServerCoordinator
from .errors import server_error_translation, translation

SERVER_SCHEME = "server://"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAnswer:
    """Where a source can be reached.

    `answered_by` is the server that knew, None if it was plex.tv; `outcome` is what
    trying the connections has shown, None if they were not tried.
    """

    information: SourceConnectionInformation
    answered_by: PlexServerCoordinator | None
    outcome: ProbeOutcome | None = None

    @property
    def preferred_uri(self) -> str | None:
        """Return the URI to use from here."""
        best = self.outcome.best if self.outcome else None
        return best.connection.uri if best else None


async def async_look_up_source(
    account: PlexAccountCoordinator,
    source: str,
    *,
    server: PlexServerCoordinator | None,
    refresh: bool,
    probe: bool,
) -> SourceAnswer:
    """Ask `server`, or the account's servers and then plex.tv, for a source.

    Raises a translated HomeAssistantError if nobody knows it or can be asked.
    """
    identifier = source.removeprefix(SERVER_SCHEME)
    resource = account.data.servers.get(identifier)
    if server is not None:
        answer = await _async_ask_server(server, source, refresh=refresh)
    else:
        try:
            answer = await _async_ask_own_servers(account, source, refresh=refresh)
        except HomeAssistantError:
            if resource is None:
                raise
            answer = await _async_ask_plex_tv(account, resource)
    if not probe:
        return replace(answer, outcome=None) if answer.outcome else answer
    # A provider is no server, which could be asked who it is.
    if answer.outcome is None and source.startswith(SERVER_SCHEME):
        outcome = await probe_connections(
            account.session,
            account.identity,
            identifier,
            usable_connections(answer.information.connections, resource),
            https_required=resource is None or resource.https_required,
        )
        return replace(answer, outcome=outcome)
    return answer


async def _async_ask_server(
    server: PlexServerCoordinator, source: str, *, refresh: bool
) -> SourceAnswer:
    """Ask one server."""
    try:
        information = await server.async_get_source_connection_information(
            source, refresh=refresh
        )
    except PlexNotFoundError as err:
        raise ServiceValidationError(
            **translation("source_not_found", source=source)
        ) from err
    except PlexError as err:
        raise HomeAssistantError(
            **server_error_translation(err, server.resource.name)
        ) from err
    return SourceAnswer(information=information, answered_by=server)


async def _async_ask_own_servers(
    account: PlexAccountCoordinator, source: str, *, refresh: bool
) -> SourceAnswer:
    """Ask the account's servers until one knows the source.

    First those that can be reached, one by one; the others all at once, as each of
    them may take a while. What plex.tv lists as offline, and is, is left alone.
    """
    failures: list[BaseException] = []
    servers = list(account.servers.values())
    for server in servers:
        if server.reachable:
            try:
                return await _async_ask_server(server, source, refresh=refresh)
            except HomeAssistantError as err:
                failures.append(err)
    for answer in await asyncio.gather(
        *(
            _async_ask_server(server, source, refresh=refresh)
            for server in servers
            if not server.reachable and server.resource.presence
        ),
        return_exceptions=True,
    ):
        if isinstance(answer, SourceAnswer):
            return answer
        failures.append(answer)
    # That a server does not know the source says more than that others are down.
    for failure in failures:
        if isinstance(failure, ServiceValidationError):
            raise failure
    if failures:
        raise failures[0]
    raise ServiceValidationError(**translation("source_not_found", source=source))


async def _async_ask_plex_tv(
    account: PlexAccountCoordinator, resource: Resource
) -> SourceAnswer:
    """Use what plex.tv tells of a server, with a token made by that very server."""
    identifier = resource.client_identifier
    outcome = None
    if server := account.servers.get(identifier):
        token = (await server.async_get_data()).token
    else:
        outcome = await probe_connections(
            account.session,
            account.identity,
            identifier,
            usable_connections(resource.connections, resource),
            https_required=resource.https_required,
        )
        if outcome.best is None:
            raise HomeAssistantError(
                **translation("server_unreachable", name=resource.name)
            )
        client = PlexServerClient.at(
            outcome.best.connection,
            account.session,
            account.identity,
            resource.access_token,
        )
        try:
            token = await client.get_transient_token()
        except PlexError as err:
            raise HomeAssistantError(
                **server_error_translation(err, resource.name)
            ) from err
    return SourceAnswer(
        information=SourceConnectionInformation(
            name=resource.name,
            client_identifier=identifier,
            access_token=token.token,
            connections=resource.connections,
        ),
        answered_by=None,
        outcome=outcome,
    )
