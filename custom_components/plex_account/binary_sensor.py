"""Binary sensors: facts about the account, and whether its servers can be reached."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api import User
from .coordinator import PlexConfigEntry
from .entity import PlexAccountEntity, PlexServerEntity, async_add_server_entities

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class PlexAccountBinarySensorDescription(BinarySensorEntityDescription):
    """A binary sensor of the account, and where its state comes from."""

    is_on_fn: Callable[[User], bool | None]


ACCOUNT_BINARY_SENSORS = (
    PlexAccountBinarySensorDescription(
        key="plex_pass",
        translation_key="plex_pass",
        is_on_fn=lambda user: user.subscription.active,
    ),
    PlexAccountBinarySensorDescription(
        key="two_factor",
        translation_key="two_factor",
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda user: user.two_factor_enabled,
    ),
)
CONNECTIVITY = BinarySensorEntityDescription(
    key="connectivity",
    device_class=BinarySensorDeviceClass.CONNECTIVITY,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the binary sensors of the account and its servers."""
    async_add_entities(
        PlexAccountBinarySensor(entry.runtime_data, description)
        for description in ACCOUNT_BINARY_SENSORS
    )
    async_add_server_entities(
        entry,
        async_add_entities,
        lambda server: [PlexConnectivityBinarySensor(server, CONNECTIVITY)],
    )


class PlexAccountBinarySensor(PlexAccountEntity, BinarySensorEntity):
    """A binary sensor of the account."""

    entity_description: PlexAccountBinarySensorDescription

    @property
    @override
    def is_on(self) -> bool | None:
        """Return what plex.tv told of the account."""
        return self.entity_description.is_on_fn(self.coordinator.data.user)


class PlexConnectivityBinarySensor(PlexServerEntity, BinarySensorEntity):
    """Whether a server can be reached."""

    @property
    @override
    def available(self) -> bool:
        """Return true: that a server can't be reached is a state of this one."""
        return True

    @property
    @override
    def is_on(self) -> bool | None:
        """Return if the server answered when it was last asked, None before that."""
        data = self.coordinator.data
        return data.reachable if data.outcome else None
