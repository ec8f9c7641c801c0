"""Tests of all entities and devices together.

Plain values are compared rather than registry entries, whose fields differ between
the versions of Home Assistant.
"""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from . import setup_integration
from .plex_emulator import Account, MediaServer, PlexEmulator

# What is random, or has the port of the emulator in it.
VARYING_ATTRIBUTES = {"access_token", "entity_picture"}


@pytest.fixture
async def loaded(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> MockConfigEntry:
    """Return Ada's entry with a server that answers and one that does not."""
    await plex.add_server("Old laptop", owner=ada, stale=True)
    await setup_integration(hass, config_entry)
    return config_entry


def is_time(state: str) -> bool:
    """Return if a state is a time."""
    return dt_util.parse_datetime(state) is not None


def describe(hass: HomeAssistant, entity: er.RegistryEntry) -> dict[str, Any]:
    """Return what a user can see of an entity."""
    state = hass.states.get(entity.entity_id)
    return {
        "category": entity.entity_category,
        "disabled_by": entity.disabled_by,
        "has_entity_name": entity.has_entity_name,
        "translation_key": entity.translation_key,
        "unique_id": entity.unique_id,
        "state": state and ("<time>" if is_time(state.state) else state.state),
        "attributes": state
        and {
            key: value
            for key, value in state.attributes.items()
            if key not in VARYING_ATTRIBUTES
        },
    }


async def test_entities(
    hass: HomeAssistant, loaded: MockConfigEntry, snapshot: SnapshotAssertion
) -> None:
    """Every entity is as it was meant to be."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id)
    described = {entity.entity_id: describe(hass, entity) for entity in entities}
    assert dict(sorted(described.items())) == snapshot


async def test_devices(
    hass: HomeAssistant,
    attic: MediaServer,
    loaded: MockConfigEntry,
    snapshot: SnapshotAssertion,
) -> None:
    """Every device is as it was meant to be, and the servers belong to the account."""
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    names = {device.id: device.name for device in devices}
    assert {
        device.name: {
            "identifiers": device.identifiers,
            "entry_type": device.entry_type,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "sw_version": device.sw_version,
            "configuration_url": (device.configuration_url or "").replace(
                attic.url, "<Attic>"
            ),
            "via_device": device.via_device_id and names[device.via_device_id],
        }
        for device in devices
    } == snapshot
