"""Tests of the system health."""

from datetime import timedelta

from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)

from custom_components.plex_account.const import (
    CONF_SERVER_URL,
    DOMAIN,
    TROUBLESHOOTING_URL,
)
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from . import setup_integration
from .plex_emulator import Account, MediaServer, PlexEmulator


async def test_system_health(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """It tells how many servers answer, and how old what we know is."""
    cellar = await plex.add_server("Cellar", owner=ada)
    await cellar.stop()
    MockConfigEntry(domain="other").add_to_hass(hass)
    await setup_integration(hass, config_entry)
    assert await async_setup_component(hass, "system_health", {})
    await hass.async_block_till_done()

    integration = await async_get_integration(hass, DOMAIN)
    info = await get_system_health_info(hass, DOMAIN)
    # Asked where the account is.
    assert await info.pop("can_reach_plex") == "ok"
    assert info.pop("version") == str(integration.version)
    assert dt_util.utcnow() - info.pop("last_refresh") < timedelta(minutes=1)
    assert info == {"servers": 2, "reachable_servers": 1}

    await hass.config_entries.async_unload(config_entry.entry_id)
    info = await get_system_health_info(hass, DOMAIN)
    # Nor is it asked elsewhere while the account is not loaded.
    assert await info.pop("can_reach_plex") == "ok"
    elsewhere = MockConfigEntry(
        domain=DOMAIN, data={**config_entry.data, CONF_SERVER_URL: "https://plex.test"}
    )
    elsewhere.add_to_hass(hass)
    info = await get_system_health_info(hass, DOMAIN)
    # No name server answers in the tests.
    assert await info.pop("can_reach_plex") == {
        "type": "failed",
        "error": "unreachable",
        "more_info": TROUBLESHOOTING_URL,
    }
    assert info.pop("version") == str(integration.version)
    assert info == {"servers": 0, "reachable_servers": 0, "last_refresh": None}
