"""Sensors: when the transient token of a server expires."""

from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import PlexConfigEntry
from .entity import PlexServerEntity, async_add_server_entities

PARALLEL_UPDATES = 0

TRANSIENT_TOKEN_EXPIRES = SensorEntityDescription(
    key="transient_token_expires",
    translation_key="transient_token_expires",
    device_class=SensorDeviceClass.TIMESTAMP,
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of the servers."""
    async_add_server_entities(
        entry,
        async_add_entities,
        lambda server: [PlexTransientTokenSensor(server, TRANSIENT_TOKEN_EXPIRES)],
    )


class PlexTransientTokenSensor(PlexServerEntity, SensorEntity):
    """When the transient token of a server expires, if nothing kills it before."""

    @property
    @override
    def native_value(self) -> datetime | None:
        """Return the time, once there is a token."""
        data = self.coordinator.data
        return data.token.expires_at if data else None
