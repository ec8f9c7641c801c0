"""Actions of the Plex Account integration."""

from dataclasses import asdict
from datetime import datetime
import re
from typing import Any

import voluptuous as vol

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import (
    async_get_config_entry,
    async_register_admin_service,
)
from homeassistant.util.json import JsonObjectType, JsonValueType

from .api import PlexError, Reply
from .const import DOMAIN
from .coordinator import (
    PLEX_TV,
    PlexAccountCoordinator,
    PlexConfigEntry,
    PlexServerCoordinator,
)
from .errors import translation
from .source import SERVER_SCHEME, SourceAnswer, async_look_up_source

SERVICE_GET_USER_DETAILS = "get_user_details"
SERVICE_GET_TRANSIENT_TOKEN = "get_transient_token"
SERVICE_GET_SOURCE_CONNECTION_INFORMATION = "get_source_connection_information"
SERVICE_GET_SOURCES = "get_sources"

ATTR_PROBE = "probe"
ATTR_REFRESH = "refresh"
ATTR_SOURCE = "source"

# Plex's grammar: a server, with or without a library of it, or a cloud provider.
SOURCE_PATTERN = re.compile(r"(server://[^/\s]+)(?:/[^/\s]+)?|(provider://[^/\s]+)")

SERVICE_GET_SOURCES_SCHEMA = vol.Schema({vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string})
SERVICE_GET_USER_DETAILS_SCHEMA = SERVICE_GET_SOURCES_SCHEMA.extend(
    {vol.Optional(ATTR_REFRESH, default=False): cv.boolean}
)
SERVICE_GET_TRANSIENT_TOKEN_SCHEMA = SERVICE_GET_USER_DETAILS_SCHEMA.extend(
    {vol.Optional(ATTR_DEVICE_ID): cv.string}
)
SERVICE_GET_SOURCE_CONNECTION_INFORMATION_SCHEMA = (
    SERVICE_GET_TRANSIENT_TOKEN_SCHEMA.extend(
        {
            vol.Required(ATTR_SOURCE): cv.string,
            vol.Optional(ATTR_PROBE, default=True): cv.boolean,
        }
    )
)


def _account(call: ServiceCall) -> PlexAccountCoordinator:
    """Return the account that an action is about."""
    entry: PlexConfigEntry = async_get_config_entry(
        call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID]
    )
    return entry.runtime_data


def _server(
    call: ServiceCall, account: PlexAccountCoordinator
) -> PlexServerCoordinator | None:
    """Return the server whose device an action names, None if it names none."""
    if (device_id := call.data.get(ATTR_DEVICE_ID)) is None:
        return None
    device = dr.async_get(call.hass).async_get(device_id)
    if device and device.config_entry_id == account.config_entry.entry_id:
        for _, identifier in device.identifiers:
            if server := account.servers.get(identifier):
                return server
    raise ServiceValidationError(
        **translation("invalid_device", account=account.config_entry.title)
    )


def _only_server(account: PlexAccountCoordinator) -> PlexServerCoordinator:
    """Return the account's server, which need not be named if it is the only one."""
    title = account.config_entry.title
    match list(account.servers.values()):
        case [server]:
            return server
        case []:
            raise ServiceValidationError(**translation("no_server", account=title))
        case servers:
            raise ServiceValidationError(
                **translation("server_required", account=title, count=str(len(servers)))
            )


async def _async_get_user_details(call: ServiceCall) -> ServiceResponse:
    """Get the details of the account."""
    account = _account(call)
    if call.data[ATTR_REFRESH]:
        await account.async_refresh_or_raise()
    return asdict(account.data.user, dict_factory=_user_to_json)


async def _async_get_transient_token(call: ServiceCall) -> ServiceResponse:
    """Get the transient token of one of the account's servers."""
    account = _account(call)
    server = _server(call, account)
    if server is None:
        server = _only_server(account)
    if call.data[ATTR_REFRESH]:
        data = await server.async_reconnect(server.data)
    else:
        data = await server.async_get_data()
    return {
        "server": {
            "name": server.resource.name,
            "client_identifier": server.resource.client_identifier,
            "version": server.version,
            "uri": data.connection.uri,
        },
        "token": data.token.token,
        "issued_at": data.token.issued_at.isoformat(),
        "expires_at": data.token.expires_at.isoformat(),
    }


async def _async_get_source_connection_information(
    call: ServiceCall,
) -> ServiceResponse:
    """Get where a source can be reached, and with what token."""
    account = _account(call)
    if not (match := SOURCE_PATTERN.fullmatch(call.data[ATTR_SOURCE].strip())):
        raise ServiceValidationError(
            **translation("invalid_source", source=call.data[ATTR_SOURCE])
        )
    # The library in a source says nothing about where the server is.
    source = match[1] or match[2]
    answer = await async_look_up_source(
        account,
        source,
        server=_server(call, account),
        refresh=call.data[ATTR_REFRESH],
        probe=call.data[ATTR_PROBE],
    )
    information = answer.information
    return {
        "source": source,
        "name": information.name,
        "client_identifier": information.client_identifier,
        "access_token": information.access_token,
        "answered_by": _answered_by(answer),
        "connections": _connections(answer),
        "preferred_uri": answer.preferred_uri,
    }


async def _async_get_sources(call: ServiceCall) -> ServiceResponse:
    """Get the servers that the account can use, as sources."""
    return {
        "sources": [
            {
                "source": f"{SERVER_SCHEME}{server.client_identifier}",
                "name": server.name,
                "owned": server.owned,
                "home": server.home,
                "online": server.presence,
                "relay": server.relay,
                "https_required": server.https_required,
                "public_address_matches": server.public_address_matches,
                "product_version": server.product_version,
                "platform": server.platform,
                "source_title": server.source_title,
            }
            for server in _account(call).data.servers.values()
        ]
    }


def _user_to_json(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return fields of a user as JSON has them, and without the token."""
    return {
        key: value.isoformat() if isinstance(value, datetime) else value
        for key, value in items
        if key != "auth_token"
    }


def _answered_by(answer: SourceAnswer) -> JsonObjectType:
    """Return who knew the source."""
    if (server := answer.answered_by) is None:
        return {"type": "plex.tv", "name": PLEX_TV, "client_identifier": None}
    return {
        "type": "server",
        "name": server.resource.name,
        "client_identifier": server.resource.client_identifier,
    }


def _connections(answer: SourceAnswer) -> list[JsonValueType]:
    """Return the connections, and whether each works if that was tried to the end."""
    tried = answer.outcome.tried if answer.outcome else {}
    # An address may have been tried in the place of a name that does not resolve.
    found = [reply.connection for reply in tried.values() if isinstance(reply, Reply)]
    connections = {
        connection.uri: connection
        for connection in (*answer.information.connections, *found)
    }
    return [
        {
            "uri": uri,
            "protocol": connection.protocol,
            "address": connection.address,
            "port": connection.port,
            "local": connection.local,
            "relay": connection.relay,
            "reachable": isinstance(tried[uri], Reply) if uri in tried else None,
            "latency_ms": _latency(tried.get(uri)),
        }
        for uri, connection in connections.items()
    ]


def _latency(result: Reply | PlexError | None) -> float | None:
    """Return how long a reply took, in milliseconds."""
    return round(result.latency * 1000, 1) if isinstance(result, Reply) else None


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Set up the actions.

    They are for administrators and automations only, since they tell tokens, addresses
    and personal details.
    """
    for name, handler, schema in (
        (
            SERVICE_GET_USER_DETAILS,
            _async_get_user_details,
            SERVICE_GET_USER_DETAILS_SCHEMA,
        ),
        (
            SERVICE_GET_TRANSIENT_TOKEN,
            _async_get_transient_token,
            SERVICE_GET_TRANSIENT_TOKEN_SCHEMA,
        ),
        (
            SERVICE_GET_SOURCE_CONNECTION_INFORMATION,
            _async_get_source_connection_information,
            SERVICE_GET_SOURCE_CONNECTION_INFORMATION_SCHEMA,
        ),
        (SERVICE_GET_SOURCES, _async_get_sources, SERVICE_GET_SOURCES_SCHEMA),
    ):
        async_register_admin_service(
            hass,
            DOMAIN,
            name,
            handler,
            schema=schema,
            supports_response=SupportsResponse.ONLY,
        )
