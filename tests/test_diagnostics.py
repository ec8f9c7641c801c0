"""Tests of the diagnostics."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.json import json_dumps
from homeassistant.setup import async_setup_component

from . import setup_integration
from .plex_emulator import Account, MediaServer, PlexEmulator

# These are as old as the test.
AGES = ("last_refresh_age", "transient_token_age")


@pytest.fixture
async def loaded(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> MockConfigEntry:
    """Return Ada's entry, set up with servers of every kind."""
    assert await async_setup_component(hass, "diagnostics", {})
    # How far a probe gets before one of these answers is a matter of time.
    attic.listing.connections = attic.listing.connections[:2]
    await plex.add_server("Old laptop", owner=ada, stale=True)
    cellar = await plex.add_server("Cellar", owner=ada)
    await cellar.stop()
    grace = plex.add_account("grace", password=None)
    plex.share(await plex.add_server("Library", owner=grace), ada)
    await setup_integration(hass, config_entry)
    # The diagnostics of an integration are imported beside all else.
    await hass.async_block_till_done()
    return config_entry


async def test_entry_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    plex: PlexEmulator,
    loaded: MockConfigEntry,
    snapshot: SnapshotAssertion,
) -> None:
    """They tell how the account and its servers are, and nothing personal."""
    dump: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert dump == snapshot(exclude=props(*AGES))
    account, (attic, *_) = dump["account"], dump["servers"]
    for about, name in (
        (account, "last_refresh_age"),
        (attic, "last_refresh_age"),
        (attic, "transient_token_age"),
    ):
        assert 0 <= about[name] < 60
    text = json_dumps(dump)
    found = [value for value in (*plex.secrets, *plex.personal) if value in text]
    assert not found
    assert "plex.direct" not in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("name", ["ada", "Attic", "Cellar"])
async def test_device_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    snapshot: SnapshotAssertion,
    name: str,
) -> None:
    """Those of a device are the part that is about it."""
    registry = dr.async_get(hass)
    (device,) = (
        device
        for device in dr.async_entries_for_config_entry(registry, loaded.entry_id)
        if device.name == name
    )
    dump = await get_diagnostics_for_device(hass, hass_client, loaded, device)
    assert dump == snapshot(exclude=props(*AGES))


async def test_unexpected_error(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, loaded: MockConfigEntry
) -> None:
    """Of an error that nobody expects the kind is told, but not what it says."""
    loaded.runtime_data.async_set_update_error(KeyError("secret"))
    dump: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert dump["account"]["last_error"] == "KeyError"
    assert "secret" not in json_dumps(dump)
