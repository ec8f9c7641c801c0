"""System health: can plex.tv and the servers be reached."""

import asyncio
from collections.abc import Iterable
from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback
from homeassistant.loader import async_get_loaded_integration

from .api import PLEX_TV_URL
from .const import CONF_SERVER_URL, DOMAIN, TROUBLESHOOTING_URL
from .coordinator import PlexConfigEntry


@callback
def async_register(
    hass: HomeAssistant, register: system_health.SystemHealthRegistration
) -> None:
    """Register what the system information page shows."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return how the accounts are."""
    loaded: list[PlexConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    accounts = [entry.runtime_data for entry in loaded]
    servers = [server for account in accounts for server in account.servers.values()]
    entries = hass.config_entries.async_entries(DOMAIN)
    urls = {entry.data[CONF_SERVER_URL] for entry in entries} or {PLEX_TV_URL}
    refreshes = [
        refreshed_at
        for account in accounts
        if (refreshed_at := account.last_update_success_time)
    ]
    return {
        "version": str(async_get_loaded_integration(hass, DOMAIN).version),
        "can_reach_plex": _async_check(hass, urls),
        "reachable_servers": sum(server.data.reachable for server in servers),
        "servers": len(servers),
        "last_refresh": min(refreshes, default=None),
    }


async def _async_check(
    hass: HomeAssistant, urls: Iterable[str]
) -> str | dict[str, str]:
    """Return how it is with all addresses at which accounts are."""
    results = await asyncio.gather(
        *(
            system_health.async_check_can_reach_url(hass, url, TROUBLESHOOTING_URL)
            for url in urls
        )
    )
    return next((result for result in results if result != "ok"), "ok")
