"""A real Home Assistant, as an object: no process of its own, no web server."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from socket import AF_UNSPEC
import ssl
import tempfile
from types import MappingProxyType
from typing import cast

from aiohttp import BaseConnector, TCPConnector

# Puts Home Assistant's own engines in the place of httpx and voluptuous, so is first.
from homeassistant import bootstrap, loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntries,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.const import CONF_TOKEN
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.aiohttp_client import (
    DATA_CONNECTOR,
    DATA_RESOLVER,
    MAXIMUM_CONNECTIONS,
    MAXIMUM_CONNECTIONS_PER_HOST,
    HassAsyncDNSResolver,
)
from homeassistant.util.ssl import SSLCipherList
from tests.plex_emulator import LoopbackResolver

from .emulator import CLIENT_IDENTIFIER, World
from .measuring import verify

DOMAIN = "plex_account"
# What Home Assistant trusts: the emulated worlds that it has seen.
TRUSTED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@asynccontextmanager
async def home_assistant() -> AsyncGenerator[HomeAssistant]:
    """Have a Home Assistant that is up, without any integration.

    It finds ours in the folder we run in.
    """
    with tempfile.TemporaryDirectory(prefix="plex-account-bench-") as folder:
        hass = HomeAssistant(folder)
        loader.async_setup(hass)
        hass.config.skip_pip = True
        hass.config_entries = ConfigEntries(hass, {})
        await bootstrap.async_load_base_functionality(hass)
        hass.auth = await auth_manager_from_config(hass, [], [])
        # It would look for names in the network.
        resolver = LoopbackResolver()
        hass.data[DATA_RESOLVER] = cast(HassAsyncDNSResolver, resolver)
        connector = TCPConnector(
            ssl=TRUSTED,
            resolver=resolver,
            limit=MAXIMUM_CONNECTIONS,
            limit_per_host=MAXIMUM_CONNECTIONS_PER_HOST,
        )
        connectors: dict[tuple[bool, int, str], BaseConnector] = {
            (True, AF_UNSPEC, SSLCipherList.PYTHON_DEFAULT): connector
        }
        hass.data[DATA_CONNECTOR] = connectors
        # Not async_start, which would open a port for its frontend.
        hass.set_state(CoreState.running)
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)
            await connector.close()


@asynccontextmanager
async def account_in(hass: HomeAssistant, world: World) -> AsyncGenerator[ConfigEntry]:
    """Have the emulated account set up."""
    entry = entry_of(world)
    await hass.config_entries.async_add(entry)
    verify(right=entry.state is ConfigEntryState.LOADED)
    await hass.async_block_till_done(wait_background_tasks=True)
    yield entry
    await hass.config_entries.async_unload(entry.entry_id)


def entry_of(world: World) -> ConfigEntry:
    """Return the entry of the emulated account, whose servers are trusted then."""
    TRUSTED.load_verify_locations(cadata=world.certificates)
    return ConfigEntry(
        data={
            CONF_TOKEN: world.token,
            "client_identifier": CLIENT_IDENTIFIER,
            "server_url": world.url,
        },
        discovery_keys=MappingProxyType({}),
        domain=DOMAIN,
        minor_version=1,
        options={},
        source=SOURCE_USER,
        subentries_data=None,
        title="ada",
        unique_id=world.uuid,
        version=1,
    )
