"""Devices with entities that do nothing: what Home Assistant itself needs for a server.

They have the descriptions of ours, and a coordinator each that never asks anybody.
Run by weight: python -m benchmarks.parts.bare_servers
"""

import asyncio
from datetime import timedelta
import logging
import tracemalloc

from benchmarks.emulator import emulated
from benchmarks.home_assistant import DOMAIN, account_in, home_assistant
from benchmarks.parts.newly_started import at_rest
from benchmarks.serving import serve_async
from custom_components.plex_account.binary_sensor import CONNECTIVITY
from custom_components.plex_account.button import RENEW_TRANSIENT_TOKEN
from custom_components.plex_account.sensor import SERVER_SENSORS
from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.button import ButtonEntity
from homeassistant.components.sensor import SensorEntity
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
)

LOGGER = logging.getLogger(__name__)


class BareEntity(CoordinatorEntity[DataUpdateCoordinator[None]]):
    """An entity of a server that is not there."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: DataUpdateCoordinator[None],
        description: EntityDescription,
        identifier: str,
    ) -> None:
        """Initialize the entity."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{identifier}_{description.key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, identifier)})


class BareSensor(BareEntity, SensorEntity):
    """A sensor."""


class BareBinarySensor(BareEntity, BinarySensorEntity):
    """A binary sensor."""


class BareButton(BareEntity, ButtonEntity):
    """A button."""


async def _add_servers(hass: HomeAssistant, entry: ConfigEntry, count: int) -> None:
    """Add the devices, and to the platforms of an account their entities."""
    platforms = {each.domain: each for each in async_get_platforms(hass, DOMAIN)}
    devices = dr.async_get(hass)
    for number in range(count):
        identifier = f"bare_{number:040x}"
        devices.async_get_or_create(
            config_entry_id=entry.entry_id,
            identifiers={(DOMAIN, identifier)},
            manufacturer="Plex, Inc.",
            name=f"Bare {number}",
        )
        coordinator = DataUpdateCoordinator[None](
            hass,
            LOGGER,
            config_entry=entry,
            name=f"Bare {number}",
            update_interval=timedelta(days=1),
        )
        entities: dict[str, list[Entity]] = {
            "binary_sensor": [BareBinarySensor(coordinator, CONNECTIVITY, identifier)],
            "button": [BareButton(coordinator, RENEW_TRANSIENT_TOKEN, identifier)],
            "sensor": [
                BareSensor(coordinator, description, identifier)
                for description in SERVER_SENSORS
            ],
        }
        for domain, added in entities.items():
            await platforms[domain].async_add_entities(added)


async def _weigh(servers: int) -> tuple[int, int]:
    """Return the bytes allocated for so many: all, and those not for sockets."""
    tracemalloc.start()
    async with (
        emulated() as world,
        home_assistant() as hass,
        account_in(hass, world) as entry,
    ):
        await _add_servers(hass, entry, servers)
        return await at_rest()


if __name__ == "__main__":
    asyncio.run(serve_async({"weigh": _weigh}))
