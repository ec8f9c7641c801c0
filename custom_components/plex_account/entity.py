"""Base entities of the Plex Account integration."""

from collections.abc import Callable, Iterable
from typing import Any, override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .base_coordinator import PlexCoordinator
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .server_coordinator import PlexServerCoordinator


@callback
def async_add_server_entities(
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    create: Callable[[PlexServerCoordinator], Iterable[Entity]],
) -> None:
    """Add the entities of all servers, now and whenever the account gets a new one."""
    account = entry.runtime_data
    known: set[str] = set()

    @callback
    def add_new() -> None:
        """Add the entities of the servers that have none yet."""
        nonlocal known
        new = account.servers.keys() - known
        known = set(account.servers)
        async_add_entities(
            entity for key in new for entity in create(account.servers[key])
        )

    entry.async_on_unload(account.async_add_listener(add_new))
    add_new()


class PlexEntity[CoordinatorT: PlexCoordinator[Any]](CoordinatorEntity[CoordinatorT]):
    """An entity of the account, or of one of its servers."""

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: CoordinatorT, description: EntityDescription
    ) -> None:
        """Initialize the entity."""
        super().__init__(coordinator)
        self.entity_description = description
        # The account makes the device, and keeps it up to date.
        self._attr_device_info = DeviceInfo(identifiers={coordinator.device_identifier})
        account = coordinator.config_entry.unique_id
        _, device = coordinator.device_identifier
        # A server never has the identifier of the account.
        whose = account if device == account else f"{account}_{device}"
        self._attr_unique_id = f"{whose}_{description.key}"


class PlexAccountEntity(PlexEntity[PlexAccountCoordinator]):
    """An entity of the account."""

    @property
    @override
    def available(self) -> bool:
        """Return if plex.tv has answered, since the start and when last asked."""
        return super().available and not self.coordinator.data.stored


class PlexServerEntity(PlexEntity[PlexServerCoordinator]):
    """An entity of one of the account's servers."""

    @property
    @override
    def available(self) -> bool:
        """Return if the server could be reached, and accepts us."""
        return super().available and self.coordinator.data.token is not None
