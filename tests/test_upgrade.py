"""Tests of an upgrade from 1.0.0.

The data is what a Home Assistant with that version stored after a user had signed in,
put a server into an area, and given it and an entity other names; the automations call
the actions with the fields of that time.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.plex_account.const import CONF_SERVER_URL, DOMAIN
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_TOKEN, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component

from . import setup_integration, state_of
from .plex_emulator import DemoWorld, PlexEmulator, build_demo_world

OLD: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data/1.0.0.json").read_text()
)
ENTRY: dict[str, Any] = OLD["entry"]


@pytest.fixture
def hass_storage(hass_storage: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored when Home Assistant starts."""
    hass_storage.update(json.loads(json.dumps(OLD["storage"])))
    return hass_storage


@pytest.fixture
async def world(plex: PlexEmulator) -> DemoWorld:
    """Return the Plex of that user."""
    return await build_demo_world(plex)


@pytest.fixture
async def entry(
    hass: HomeAssistant, plex: PlexEmulator, world: DemoWorld
) -> MockConfigEntry:
    """Return the entry, whose token is good where plex.tv is now."""
    # The harness has not read it.
    hass.data[er.DATA_REGISTRY] = registry = er.EntityRegistry(hass)
    await registry._async_load()
    er.async_get.cache_clear()  # type: ignore[attr-defined] # it has one
    data = ENTRY["data"]
    token = plex.tv.issue(world.ada, data["client_identifier"]).text
    return MockConfigEntry(
        domain=DOMAIN,
        entry_id=ENTRY["entry_id"],
        title=ENTRY["title"],
        unique_id=ENTRY["unique_id"],
        version=ENTRY["version"],
        minor_version=ENTRY["minor_version"],
        data={**data, CONF_TOKEN: token, CONF_SERVER_URL: plex.url},
    )


async def test_all_is_still_there(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Devices and entities keep their ids, and what the user has made of them."""
    await setup_integration(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    # An older version reads it, too.
    assert (entry.version, entry.minor_version) == (1, 1)
    assert entry.data.keys() == ENTRY["data"].keys()
    devices = dr.async_get(hass)
    for old in OLD["storage"]["core.device_registry"]["data"]["devices"]:
        device = devices.async_get(old["id"])
        assert device, old["name"]
        assert (device.name, device.name_by_user, device.area_id) == (
            old["name"],
            old["name_by_user"],
            old["area_id"],
        )
    entities = er.async_get(hass)
    for old in OLD["storage"]["core.entity_registry"]["data"]["entities"]:
        entity = entities.async_get(old["entity_id"])
        assert entity, old["entity_id"]
        assert (entity.id, entity.unique_id, entity.name) == (
            old["id"],
            old["unique_id"],
            old["name"],
        )
        assert old["disabled_by"] or hass.states.get(old["entity_id"])
    assert state_of(hass, "binary_sensor.big_server_up") == STATE_ON


async def test_automations(
    hass: HomeAssistant, entry: MockConfigEntry, world: DemoWorld
) -> None:
    """The four actions answer to their old fields."""
    await setup_integration(hass, entry)
    events = {
        automation["id"]: async_capture_events(hass, f"old_{automation['id']}")
        for automation in OLD["automations"]
    }
    hass.states.async_set("input_button.show", "never")
    assert await async_setup_component(
        hass, "automation", {"automation": OLD["automations"]}
    )
    hass.states.async_set("input_button.show", "now")
    await hass.async_block_till_done(wait_background_tasks=True)
    answers = {key: captured[0].data["r"] for key, captured in events.items()}
    assert answers["one"]["username"] == "ada"
    tokens = [token.text for token in world.attic.transient_tokens]
    assert answers["two"]["token"] in tokens
    assert answers["three"]["preferred_uri"] == world.attic.url
    assert answers["three"]["name"] == "Attic"
    names = [source["name"] for source in answers["four"]["sources"]]
    assert {"Attic", "Cellar", "Library"} <= {*names}
