"""Actions of the Plex Account integration."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial, wraps
import re
from typing import Any, Final

import voluptuous as vol

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.util.json import JsonObjectType, JsonValueType

from .access import async_ask_library, async_get_checked_access
from .api import (
    Item,
    PlainHttp,
    PlexError,
    PlexLibrary,
    PlexNotFoundError,
    Reply,
    at_address,
)
from .const import DOMAIN, PLEX_TV
from .errors import server_errors, translation
from .media import async_picture, async_search, media_content_id, subtitle
from .sources import SERVER_SCHEME, SourceAnswer, async_look_up_source, parse_source
from .targets import (
    ATTR_ASK_DEVICE_ID,
    get_account,
    get_only_server,
    get_server,
    get_servers,
)

SERVICE_GET_USER_DETAILS = "get_user_details"
SERVICE_GET_TRANSIENT_TOKEN = "get_transient_token"
SERVICE_GET_SOURCE_CONNECTION_INFORMATION = "get_source_connection_information"
SERVICE_GET_SOURCES = "get_sources"
SERVICE_FIND_MEDIA = "find_media"

ATTR_LIMIT = "limit"
ATTR_PROBE = "probe"
ATTR_QUERY = "query"
ATTR_RATING_KEY = "rating_key"
ATTR_REFRESH = "refresh"
ATTR_SOURCE = "source"

RATING_KEY_PATTERN: Final = re.compile(r"[0-9]{1,19}")

# Seconds that anything an action does may take.
ACTION_TIMEOUT = 14.5

SERVICE_GET_USER_DETAILS_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_REFRESH, default=False): cv.boolean,
    }
)
SERVICE_GET_TRANSIENT_TOKEN_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_REFRESH, default=False): cv.boolean,
    }
)
SERVICE_GET_SOURCE_CONNECTION_INFORMATION_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_SOURCE): cv.string,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_ASK_DEVICE_ID): cv.string,
        vol.Optional(ATTR_REFRESH, default=False): cv.boolean,
        vol.Optional(ATTR_PROBE, default=True): cv.boolean,
    }
)
SERVICE_FIND_MEDIA_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_QUERY): cv.string,
        vol.Optional(ATTR_RATING_KEY): cv.string,
        vol.Optional(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_LIMIT, default=10): vol.All(
            vol.Coerce(int), vol.Range(min=1, max=50)
        ),
    }
)
SERVICE_GET_SOURCES_SCHEMA = vol.Schema({vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string})

type Handler = Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]


def _in_time(handler: Handler) -> Handler:
    """Let an action end in time, whatever is silent; a refresh of others' goes on."""

    @wraps(handler)
    async def handle(call: ServiceCall) -> ServiceResponse:
        """Handle the action."""
        try:
            async with asyncio.timeout(ACTION_TIMEOUT):
                return await handler(call)
        except TimeoutError as err:
            raise HomeAssistantError(
                **translation("timeout_connect", name="Plex")
            ) from err

    return handle


@_in_time
async def _async_get_user_details(call: ServiceCall) -> ServiceResponse:
    """Get the details of the account."""
    account = get_account(call)
    if call.data[ATTR_REFRESH]:
        await account.async_refresh_or_raise()
    user = account.data.user
    return {
        "id": user.id,
        "uuid": user.uuid,
        "username": user.username,
        "title": user.title,
        "email": user.email,
        "friendly_name": user.friendly_name,
        "thumb": user.thumb,
        "country": user.country,
        "locale": user.locale,
        "joined_at": _time(user.joined_at),
        "confirmed": user.confirmed,
        "has_password": user.has_password,
        "two_factor_enabled": user.two_factor_enabled,
        "home": user.home,
        "home_admin": user.home_admin,
        "home_size": user.home_size,
        "max_home_size": user.max_home_size,
        "guest": user.guest,
        "restricted": user.restricted,
        "protected": user.protected,
        "remember_expires_at": _time(user.remember_expires_at),
        "subscription": {
            "active": user.subscription.active,
            "status": user.subscription.status,
            "plan": user.subscription.plan,
            "features": list(user.subscription.features),
            "subscribed_at": _time(user.subscription.subscribed_at),
            "payment_service": user.subscription.payment_service,
        },
        "subscription_description": user.subscription_description,
        "entitlements": list(user.entitlements),
        "roles": list(user.roles),
        "services": [
            {
                "identifier": service.identifier,
                "endpoint": service.endpoint,
                "status": service.status,
            }
            for service in user.services
        ],
    }


@_in_time
async def _async_get_transient_token(call: ServiceCall) -> ServiceResponse:
    """Get the transient token of one of the account's servers."""
    account = get_account(call)
    server = get_server(call, account, ATTR_DEVICE_ID)
    if server is None:
        server = get_only_server(account)
    if call.data[ATTR_REFRESH]:
        access = await server.async_renew_token()
    else:
        with server_errors(server.data.resource.name):
            access = await async_get_checked_access(server)
    return {
        "server": {
            "name": server.data.resource.name,
            "client_identifier": server.data.resource.client_identifier,
            "version": server.data.version,
            "uri": access.connection.uri,
        },
        "token": access.token.token,
        "issued_at": access.token.issued_at.isoformat(),
        "expires_at": access.token.expires_at.isoformat(),
    }


@_in_time
async def _async_get_source_connection_information(
    call: ServiceCall,
) -> ServiceResponse:
    """Get where a source can be reached, and with what token."""
    account = get_account(call)
    device = get_server(call, account, ATTR_DEVICE_ID)
    asked = get_server(call, account, ATTR_ASK_DEVICE_ID)
    if text := call.data.get(ATTR_SOURCE):
        source = parse_source(account, text)
        # Before there was a field of its own, this one said whom to ask.
        asked = asked or device
    elif device:
        source = f"{SERVER_SCHEME}{device.data.resource.client_identifier}"
    else:
        raise ServiceValidationError(**translation("source_required"))
    answer = await async_look_up_source(
        account,
        source,
        server=asked,
        refresh=call.data[ATTR_REFRESH],
        probe=call.data[ATTR_PROBE],
    )
    information = answer.information
    return {
        "source": source,
        "name": answer.name,
        "client_identifier": information.client_identifier,
        "access_token": information.access_token,
        "answered_by": _answered_by(answer),
        "connections": _connections(answer),
        "preferred_uri": answer.preferred_uri,
        "external_uri": answer.external_uri,
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
            for server in get_account(call).data.servers.values()
        ]
    }


@_in_time
async def _async_find_media(call: ServiceCall) -> ServiceResponse:
    """Find films, episodes, music and whatever else the servers have."""
    account = get_account(call)
    server = get_server(call, account, ATTR_DEVICE_ID)
    # Half a character, as a template may give, can't be sent.
    query = call.data.get(ATTR_QUERY, "").encode(errors="ignore").decode().strip()
    rating_key = call.data.get(ATTR_RATING_KEY, "").strip()
    limit = call.data[ATTR_LIMIT]
    if bool(query) == bool(rating_key):
        raise ServiceValidationError(**translation("query_or_rating_key"))
    if query:
        servers = [server] if server else get_servers(account)
        found = await async_search(servers, query, limit)
    elif not RATING_KEY_PATTERN.fullmatch(rating_key):
        raise ServiceValidationError(
            **translation("invalid_rating_key", rating_key=rating_key)
        )
    else:
        only = server or get_only_server(account)
        found = [(only, await async_ask_library(only, partial(_item, rating_key)))]
    return {
        "items": [
            {
                "title": item.title,
                "type": item.type,
                "subtitle": subtitle(item),
                "year": item.year,
                "duration": None if item.duration is None else round(item.duration),
                "rating_key": item.rating_key,
                "server": server.data.resource.name,
                "media_content_id": media_content_id(server, item),
                "picture": async_picture(call.hass, server, item),
            }
            for server, item in found[:limit]
        ]
    }


async def _item(rating_key: str, library: PlexLibrary) -> Item:
    """Return what has a rating key, which is kept elsewhere if it is a playlist."""
    try:
        return await library.get_item(rating_key)
    except PlexNotFoundError:
        return await library.get_playlist(rating_key)


def _time(when: datetime | None) -> str | None:
    """Return a time as JSON has it."""
    return when.isoformat() if when else None


def _answered_by(answer: SourceAnswer) -> JsonObjectType:
    """Return who knew the source."""
    if (server := answer.answered_by) is None:
        return {"type": "plex.tv", "name": PLEX_TV, "client_identifier": None}
    return {
        "type": "server",
        "name": server.data.resource.name,
        "client_identifier": server.data.resource.client_identifier,
    }


def _connections(answer: SourceAnswer) -> list[JsonValueType]:
    """Return the connections, and whether each works if that was tried to the end."""
    tried = answer.outcome.tried if answer.outcome else {}
    # An address may have been tried in the place of a name that does not resolve. Other
    # devices can only use it without encryption, where the server allows that.
    found = [reply.connection for reply in tried.values() if isinstance(reply, Reply)]
    shown = answer.plain is not PlainHttp.REFUSED
    plain = [
        at_address(reply.connection)
        for reply in (tried.values() if shown else ())
        if isinstance(reply, Reply) and reply.name_blocked
    ]
    connections = {
        connection.uri: connection
        for connection in (*answer.information.connections, *found, *plain)
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

    Those that tell tokens, addresses or personal details are for administrators and
    automations only.
    """
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_GET_USER_DETAILS,
        _async_get_user_details,
        schema=SERVICE_GET_USER_DETAILS_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_GET_TRANSIENT_TOKEN,
        _async_get_transient_token,
        schema=SERVICE_GET_TRANSIENT_TOKEN_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_GET_SOURCE_CONNECTION_INFORMATION,
        _async_get_source_connection_information,
        schema=SERVICE_GET_SOURCE_CONNECTION_INFORMATION_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_GET_SOURCES,
        _async_get_sources,
        schema=SERVICE_GET_SOURCES_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_FIND_MEDIA,
        _async_find_media,
        schema=SERVICE_FIND_MEDIA_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
