"""Plex and Home Assistant, with all that may be asked of both."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from aiohttp import TCPConnector, web
from aiohttp.test_utils import TestClient
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account.const import DOMAIN
from custom_components.plex_account.coordinator import PlexAccountCoordinator
from custom_components.plex_account.server_coordinator import (
    PlexServerCoordinator,
    Trouble,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.aiohttp_client import DATA_CONNECTOR
from tests import device_id_of, perform, setup_integration, source_of
from tests.conftest import entry_of
from tests.const import CLIENT_IDENTIFIER
from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Host,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
)

# The names of plex.tv, one to which a password may be sent by plain HTTP, and Attic.
TV_NAME = "localhost"
ATTIC_NAME = "attic.plex.test"

type Call = Callable[..., Awaitable[dict[str, Any]]]
type Player = TestClient[web.Request, web.Application]


class Registered(NamedTuple):
    """What Home Assistant has stored: entries, and the ids of devices and entities."""

    entries: list[tuple[str, str | None, dict[str, Any]]]
    ids: set[str]


@dataclass(kw_only=True)
class World:
    """Ada, her server Attic, and her account in Home Assistant."""

    hass: HomeAssistant
    plex: PlexEmulator
    ada: Account
    attic: MediaServer
    resolver: LoopbackResolver
    authority: CertificateAuthority
    secure: bool
    new_player: Callable[[], Awaitable[Player]]
    tv_url: str = ""

    @property
    def connector(self) -> TCPConnector:
        """Return what keeps Home Assistant's connections."""
        (connector,) = self.hass.data[DATA_CONNECTOR].values()
        assert isinstance(connector, TCPConnector)
        return connector

    async def begin(self) -> None:
        """Give plex.tv and Attic names, and certificates if they are to have them."""
        self.resolver.patterns += [TV_NAME, ATTIC_NAME]
        hosts: list[Host] = [self.attic]
        if self.secure:
            hosts.append(self.plex.tv)
        for host in hosts:
            context = self.authority.server_context(name_of(host))
            await host.add_listener(ssl_context=context).start()
        self.tv_url = url_of(self.plex.tv)
        self.ada.user.thumb = f"{self.tv_url}/users/{self.ada.user.uuid}/avatar"
        address = Connection.at(url_of(self.attic))
        self.attic.listing.connections = [address]

    @property
    def account(self) -> PlexAccountCoordinator:
        """Return the coordinator of the account."""
        (entry,) = self.hass.config_entries.async_loaded_entries(DOMAIN)
        coordinator = entry.runtime_data
        assert isinstance(coordinator, PlexAccountCoordinator)
        return coordinator

    @property
    def server(self) -> PlexServerCoordinator:
        """Return the coordinator of Attic."""
        return self.account.servers[self.attic.machine_identifier]

    def new_entry(self) -> MockConfigEntry:
        """Return an entry of Ada's account, who has just signed in."""
        return entry_of(self.plex, self.ada, CLIENT_IDENTIFIER, self.tv_url)

    async def set_up(self) -> None:
        """Set up Ada's account."""
        await setup_integration(self.hass, self.new_entry())

    async def lose_server(self) -> None:
        """Look for Attic as after a connection that was lost."""
        token = self.server.data.token
        assert token
        await self.server.async_replace_access(token, Trouble.LOST)

    async def settle(self) -> None:
        """Wait for all that has been started."""
        await self.hass.async_block_till_done(wait_background_tasks=True)

    def registered(self) -> Registered:
        """Return what Home Assistant has stored, and a user may have added to."""
        entries = self.hass.config_entries.async_entries(DOMAIN)
        devices, entities = dr.async_get(self.hass), er.async_get(self.hass)
        ids: set[str] = set()
        for entry in entries:
            for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
                ids.add(device.id)
            for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
                ids.add(entity.id)
        return Registered(
            [(entry.title, entry.unique_id, dict(entry.data)) for entry in entries], ids
        )

    def known(self) -> object:
        """Return what plex.tv has told of the account, without what a ping changes."""
        account = self.account
        user = replace(account.data.user, remember_expires_at=None)
        return user, account.data.servers, account.client.token

    async def call(self, action: str, **data: Any) -> dict[str, Any]:
        """Call an action as an automation does."""
        entry_id = self.account.config_entry.entry_id
        return await perform(self.hass, action, config_entry_id=entry_id, **data)

    @property
    def device_id(self) -> str:
        """Return the id of Attic's device."""
        entry = self.account.config_entry
        return device_id_of(self.hass, entry, self.attic.machine_identifier)

    async def look_up(self, **data: Any) -> dict[str, Any]:
        """Ask Attic where it is itself."""
        return await self.call(
            "get_source_connection_information",
            source=source_of(self.attic),
            device_id=self.device_id,
            **data,
        )


def name_of(host: Host) -> str:
    """Return the name by which a host is known."""
    return ATTIC_NAME if isinstance(host, MediaServer) else TV_NAME


def url_of(host: Host) -> str:
    """Return the URL of a host by its name, at the newest of its listeners."""
    listener = host.listeners[-1]
    return f"{listener.scheme}://{name_of(host)}:{listener.port}"


def shown(err: BaseException | None) -> str | None:
    """Return the key of an error that is translated for the user."""
    if err is None:
        return None
    assert isinstance(err, HomeAssistantError), repr(err)
    key = err.translation_key
    assert err.translation_domain == DOMAIN, repr(err)
    assert key
    # The text, not the key, is what there is to read.
    assert key not in str(err)
    return key
