"""Tests of the options: which servers are followed."""

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import async_remove_config_entry_device
from custom_components.plex_account.devices import async_get_device
from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr

from . import names_of_devices, perform, setup_integration, state_of
from .plex_emulator import MediaServer, PlexEmulator


async def choose(
    hass: HomeAssistant, entry: MockConfigEntry, *servers: MediaServer
) -> None:
    """Choose the servers to follow."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.FORM
    result = await hass.config_entries.options.async_configure(
        result["flow_id"],
        {"servers": [server.machine_identifier for server in servers]},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_server_of_nobody(
    hass: HomeAssistant, library: MediaServer, config_entry: MockConfigEntry
) -> None:
    """Whose a server is is only said where it is known."""
    library.owner.user.title = ""
    await setup_integration(hass, config_entry)
    result = await hass.config_entries.options.async_init(config_entry.entry_id)
    assert result["data_schema"]
    ((_, field),) = result["data_schema"].schema.items()
    assert [option["label"] for option in field.config["options"]] == ["Library"]


async def test_choose(
    hass: HomeAssistant,
    attic: MediaServer,
    library: MediaServer,
    loaded: MockConfigEntry,
) -> None:
    """An own server can be left out, and one that is shared added; and back."""
    assert names_of_devices(hass, loaded) == {"ada", "Attic"}
    result = await hass.config_entries.options.async_init(loaded.entry_id)
    assert result["data_schema"]
    ((marker, field),) = result["data_schema"].schema.items()
    assert marker.default() == [attic.machine_identifier]
    assert field.config["mode"] == "list"
    assert [option["label"] for option in field.config["options"]] == [
        "Attic",
        "Library (grace)",
    ]
    hass.config_entries.options.async_abort(result["flow_id"])

    await choose(hass, loaded, library)
    assert names_of_devices(hass, loaded) == {"ada", "Library"}
    assert state_of(hass, "binary_sensor.library_connectivity") == STATE_ON
    # Whether somebody else's can be reached from outside is not ours to know.
    assert hass.states.get("sensor.library_connection_type")
    assert not hass.states.get("sensor.library_remote_access")
    assert library.transient_tokens
    # A server that is left out can be looked up all the same.
    response = await perform(hass, "get_source_connection_information", source="Attic")
    assert response["preferred_uri"] == attic.url

    await choose(hass, loaded, attic)
    assert names_of_devices(hass, loaded) == {"ada", "Attic"}
    assert loaded.options == {"added_servers": [], "left_out_servers": []}


async def test_not_listed(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    library: MediaServer,
    loaded: MockConfigEntry,
) -> None:
    """What was chosen for a server that plex.tv does not list is kept."""
    await choose(hass, loaded, attic, library)
    plex.unshare(library, attic.owner)
    await loaded.runtime_data.async_refresh()
    assert names_of_devices(hass, loaded) == {"ada", "Attic"}
    cellar = await plex.add_server("Cellar", owner=attic.owner)
    await loaded.runtime_data.async_refresh()
    await choose(hass, loaded, attic)
    await plex.remove_server(cellar)
    await loaded.runtime_data.async_refresh()
    await choose(hass, loaded)
    assert loaded.options == {
        "added_servers": [library.machine_identifier],
        "left_out_servers": sorted(
            [attic.machine_identifier, cellar.machine_identifier]
        ),
    }


async def test_not_loaded(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """Without the account nobody knows its servers."""
    await hass.config_entries.async_unload(loaded.entry_id)
    result = await hass.config_entries.options.async_init(loaded.entry_id)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "not_loaded"


async def test_remove_devices(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """Who removes a device has chosen nothing else."""
    cellar = await plex.add_server("Cellar", owner=attic.owner)
    await setup_integration(hass, config_entry)
    await choose(hass, config_entry, attic, library)
    assert config_entry.options == {
        "added_servers": [library.machine_identifier],
        "left_out_servers": [cellar.machine_identifier],
    }
    (account,) = (
        device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), config_entry.entry_id
        )
        if device.name == "ada"
    )
    with pytest.raises(HomeAssistantError, match="stands for the account ada itself"):
        await async_remove_config_entry_device(hass, config_entry, account)
    for server, added in ((attic, [library.machine_identifier]), (library, [])):
        device = async_get_device(hass, config_entry, server.machine_identifier)
        assert device
        assert await async_remove_config_entry_device(hass, config_entry, device)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert config_entry.options["added_servers"] == added
        assert cellar.machine_identifier in config_entry.options["left_out_servers"]
