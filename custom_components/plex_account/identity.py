"""How Home Assistant presents itself to Plex, and takes its leave."""

import asyncio
from dataclasses import replace
from hashlib import sha256
from typing import Final
from uuid import UUID

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN, __version__
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.loader import async_get_loaded_integration

from .api import ClientIdentity, PlexAuthenticationError, PlexError, PlexTvClient
from .const import CONF_CLIENT_IDENTIFIER, CONF_SERVER_URL, DOMAIN, LOGGER

# Seconds. Signing out is a courtesy, nobody waits longer for it.
SIGN_OUT_TIMEOUT: Final = 5


def client_identity(hass: HomeAssistant, client_identifier: str) -> ClientIdentity:
    """Return what the user sees in the list of devices of the Plex account."""
    return ClientIdentity(
        client_identifier=client_identifier,
        product="Plex Account for Home Assistant",
        version=str(async_get_loaded_integration(hass, DOMAIN).version),
        platform="Home Assistant",
        platform_version=__version__,
        device="Home Assistant",
        device_name=hass.config.location_name,
    )


def identity_at_server(
    identity: ClientIdentity, machine_identifier: str
) -> ClientIdentity:
    """Return what a server gets to know, whose owner may be somebody else.

    Who knows the account's own identifier could take part in its signing in, so each
    server gets another one. It is always the same, and tells nothing of the account's.
    """
    text = f"{identity.client_identifier}/{machine_identifier}"
    identifier = UUID(bytes=sha256(text.encode()).digest()[:16], version=4)
    return replace(identity, client_identifier=str(identifier))


def plex_tv_client(
    hass: HomeAssistant,
    *,
    client_identifier: str,
    server_url: str,
    token: str | None = None,
) -> PlexTvClient:
    """Return a client of plex.tv, with or without a token."""
    return PlexTvClient(
        async_get_clientsession(hass),
        client_identity(hass, client_identifier),
        token=token,
        server_url=server_url,
    )


def account_client(hass: HomeAssistant, entry: ConfigEntry) -> PlexTvClient:
    """Return a client of plex.tv for an account that was added."""
    return plex_tv_client(
        hass,
        client_identifier=entry.data[CONF_CLIENT_IDENTIFIER],
        server_url=entry.data[CONF_SERVER_URL],
        token=entry.data[CONF_TOKEN],
    )


async def async_sign_out(client: PlexTvClient) -> None:
    """Give back a token that is no longer needed, if plex.tv can be reached."""
    try:
        async with asyncio.timeout(SIGN_OUT_TIMEOUT):
            await client.sign_out()
    except PlexAuthenticationError:
        # It is given back already.
        return
    except (PlexError, TimeoutError) as err:
        LOGGER.warning(
            "Could not sign out of Plex (%s); Home Assistant may stay in the list of "
            "authorized devices of the Plex account until it is removed there",
            str(err) or "no answer in time",
        )
