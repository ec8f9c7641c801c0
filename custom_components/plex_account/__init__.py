"""The Plex Account integration."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .errors import translation
from .hls import async_stop_transcodes
from .http import HlsView, MediaView
from .identity import account_client, async_sign_out
from .issues import async_forget_issues
from .options_flow import without_server
from .services import async_setup_services
from .store import PlexStore

PLATFORMS: list[Platform] = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.IMAGE,
    Platform.SENSOR,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up the actions and the views, which are there without an account, too."""
    async_setup_services(hass)
    hass.http.register_view(HlsView)
    hass.http.register_view(MediaView)

    async def stop(event: Event) -> None:
        """Let the servers end what they do for players."""
        await async_stop_transcodes(hass)

    hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stop)
    return True


# Home Assistant 2026.10 still wants the booleans below; 2026.11 ignores them.
async def async_setup_entry(hass: HomeAssistant, entry: PlexConfigEntry) -> bool:
    """Set up a Plex account."""
    coordinator = PlexAccountCoordinator(hass, entry)
    await coordinator.async_start()
    entry.runtime_data = coordinator
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: PlexConfigEntry) -> bool:
    """Unload a Plex account."""
    await entry.runtime_data.async_close()
    await async_stop_transcodes(hass, entry)
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)


async def async_remove_entry(hass: HomeAssistant, entry: PlexConfigEntry) -> None:
    """Sign out, so that plex.tv forgets the token and this device."""
    async_forget_issues(hass, entry)
    flows = hass.config_entries.flow
    # Home Assistant itself only ends those that ask to sign in again.
    for flow in flows.async_progress_by_handler(
        DOMAIN, match_context={"entry_id": entry.entry_id}
    ):
        flows.async_abort(flow["flow_id"])
    await PlexStore(hass, entry.entry_id).async_remove()
    await async_sign_out(account_client(hass, entry))


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: PlexConfigEntry, device: dr.AnyDeviceEntry
) -> bool:
    """Leave a server out whose device is removed; that of the account has to stay."""
    if (DOMAIN, entry.unique_id) in device.identifiers:
        raise HomeAssistantError(**translation("account_device", account=entry.title))
    is_loaded = entry.state is ConfigEntryState.LOADED
    for _, key in device.identifiers:
        if not is_loaded or key in entry.runtime_data.servers:
            # As in the options, where it can be found again.
            hass.config_entries.async_update_entry(
                entry, options=without_server(entry.options, key)
            )
            if is_loaded:
                hass.config_entries.async_schedule_reload(entry.entry_id)
    return True
