"""What names a Plex source, and who is asked where it can be reached."""

import asyncio
from dataclasses import dataclass, replace
import re
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util.async_ import create_eager_task

from .access import async_get_checked_access, async_get_source_connection_information
from .api import (
    PlainHttp,
    PlexNotFoundError,
    PlexServerClient,
    ProbeOutcome,
    Resource,
    SourceConnectionInformation,
    is_encrypted,
    plain_http,
    probe_connections,
    rank,
    usable_connections,
)
from .const import PLEX_TV
from .coordinator import PlexAccountCoordinator
from .errors import server_errors, translation
from .identity import identity_at_server
from .server_coordinator import PlexServerCoordinator

SERVER_SCHEME: Final = "server://"
# Plex's grammar: a server, with or without a library of it, or a cloud provider.
SOURCE_PATTERN: Final = re.compile(
    r"(server://[^/\s]+)(?:/[^/\s]+)?|(provider://[^/\s]+)"
)

# Seconds: the head start of the first server before all the others, and how long they
# are asked before plex.tv's list has to do.
HEAD_START = 0.25
SERVERS_TIMEOUT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAnswer:
    """Where a source can be reached.

    `name` is that in plex.tv's list, if it is there. `answered_by` is the server that
    knew, None if it was plex.tv; `outcome` is what trying the connections has shown,
    None if they were not tried. `plain` says what may be done without encryption.
    """

    name: str | None = None
    information: SourceConnectionInformation
    answered_by: PlexServerCoordinator | None
    outcome: ProbeOutcome | None = None
    plain: PlainHttp = PlainHttp.REFUSED

    @property
    def preferred_uri(self) -> str | None:
        """Return the URI to use from here."""
        best = self.outcome.best if self.outcome else None
        return best.connection.uri if best else None

    @property
    def external_uri(self) -> str | None:
        """Return the best URI that works from elsewhere, which nobody has tried."""
        external = [
            connection
            for connection in self.information.connections
            if is_encrypted(connection) and not connection.local
        ]
        return min(external, key=rank).uri if external else None


def parse_source(account: PlexAccountCoordinator, text: str) -> str:
    """Return what a source names, without the library in it.

    It may also be the name of a server, of an own one rather than of another. Raises a
    ServiceValidationError if it is no source, or the name of several.
    """
    text = text.strip()
    if match := SOURCE_PATTERN.fullmatch(text):
        return match[1] or match[2]
    named = {
        f"{SERVER_SCHEME}{key}": server.owned
        for key, server in account.data.servers.items()
        if server.name.casefold() == text.casefold()
    }
    # Whoever shares a server may call it what he likes.
    match [source for source, owned in named.items() if owned] or list(named):
        case [source]:
            return source
        case []:
            raise ServiceValidationError(**translation("invalid_source", source=text))
        case several:
            raise ServiceValidationError(
                **translation("ambiguous_source", name=text, sources=", ".join(several))
            )


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
        except HomeAssistantError as err:
            if account.is_signed_out:
                raise HomeAssistantError(
                    **translation("auth_failed", name=PLEX_TV)
                ) from err
            if resource is None:
                raise
            answer = await _async_ask_plex_tv(account, resource)
    name = resource.name if resource else answer.information.name
    answer = replace(answer, name=name)
    if not probe:
        return replace(answer, outcome=None)
    # A provider is no server, which could be asked who it is.
    if answer.outcome is None and source.startswith(SERVER_SCHEME):
        plain = plain_http(
            resource, https_worked=account.store.https_worked(identifier)
        )
        outcome = await probe_connections(
            account.session,
            account.identity,
            identifier,
            usable_connections(answer.information.connections, resource, plain),
            plain,
        )
        answer = replace(answer, outcome=outcome, plain=plain)
    if resource and answer.outcome and answer.outcome.encrypted:
        account.store.async_set_https_worked(identifier, worked=True)
        if followed := account.servers.get(identifier):
            followed.async_use_https()
    return answer


async def _async_ask_server(
    server: PlexServerCoordinator, source: str, *, refresh: bool
) -> SourceAnswer:
    """Ask one server."""
    with server_errors(server.data.resource.name):
        try:
            information = await async_get_source_connection_information(
                server, source, refresh=refresh
            )
        except PlexNotFoundError as err:
            raise ServiceValidationError(
                **translation("source_not_found", source=source)
            ) from err
    return SourceAnswer(information=information, answered_by=server)


async def _async_ask_own_servers(
    account: PlexAccountCoordinator, source: str, *, refresh: bool
) -> SourceAnswer:
    """Ask the account's servers side by side until one knows the source.

    Those that can be reached come first, and the first of them has a head start, as it
    mostly knows. What plex.tv lists as offline, and is, is left alone.
    """
    servers = sorted(
        (
            server
            for server in account.servers.values()
            # Others' do not tell.
            if server.data.resource.owned
            and (server.data.reachable or server.data.resource.presence)
        ),
        key=lambda server: not server.data.reachable,
    )
    failures: list[HomeAssistantError] = []
    asking: set[asyncio.Task[SourceAnswer]] = set()
    try:
        async with asyncio.timeout(SERVERS_TIMEOUT):
            if len(servers) == 1:
                # As in most homes, and it needs no task of its own.
                return await _async_ask_server(servers[0], source, refresh=refresh)
            for asked, patience in ((servers[:1], HEAD_START), (servers[1:], None)):
                asking |= {
                    create_eager_task(
                        _async_ask_server(server, source, refresh=refresh)
                    )
                    for server in asked
                }
                while asking:
                    done, _ = await asyncio.wait(
                        asking,
                        timeout=patience,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    if not done:
                        break
                    for task in done:
                        asking.remove(task)
                        try:
                            return task.result()
                        except HomeAssistantError as err:
                            failures.append(err)
    except TimeoutError:
        name = servers[0].data.resource.name
        failures.append(HomeAssistantError(**translation("timeout_connect", name=name)))
    finally:
        for task in asking:
            task.cancel()
        # Nobody asks for the errors of those that were too late.
        await asyncio.gather(*asking, return_exceptions=True)
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
    unreachable = HomeAssistantError(
        **translation("server_unreachable", name=resource.name)
    )
    outcome = None
    with server_errors(resource.name):
        if server := account.servers.get(identifier):
            if resource.owned and resource.presence and not server.data.reachable:
                # It has just been asked.
                raise unreachable
            token = (await async_get_checked_access(server)).token
        else:
            outcome = await probe_connections(
                account.session,
                account.identity,
                identifier,
                usable_connections(resource.connections, resource, PlainHttp.REFUSED),
                PlainHttp.REFUSED,
            )
            if outcome.best is None:
                raise unreachable
            client = PlexServerClient.at(
                outcome.best.connection,
                account.session,
                identity_at_server(account.identity, identifier),
                token=resource.access_token,
                machine_identifier=identifier,
            )
            token = await client.get_transient_token()
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
