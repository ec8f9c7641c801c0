"""The devices of an account and of its servers."""

from collections.abc import Iterable
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .connection import PlexServerData
from .const import DOMAIN

PLEX_WEB: Final = "https://app.plex.tv/desktop"


@callback
def async_get_device(
    hass: HomeAssistant, entry: ConfigEntry, identifier: str | None
) -> dr.DeviceEntry | None:
    """Return the device of the account or of one of its servers, if there is one."""
    return dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, str(identifier)), entry.entry_id
    )


@callback
def async_update_account_device(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Make the device of the account, as which plex.tv knows us."""
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, str(entry.unique_id))},
        entry_type=dr.DeviceEntryType.SERVICE,
        manufacturer="Plex",
        model="Plex account",
        name=entry.title,
        configuration_url=f"{PLEX_WEB}/#!/settings/account",
    )


@callback
def async_update_server_device(
    hass: HomeAssistant, entry: ConfigEntry, data: PlexServerData
) -> None:
    """Make the device of a server what is known of it."""
    resource, version = data.resource, data.version
    device = async_get_device(hass, entry, resource.client_identifier)
    account = async_get_device(hass, entry, entry.unique_id)
    assert account, "Its device is made before those of its servers"
    # What is known from before a restart stays until there is something better.
    url = device.configuration_url if device else None
    if data.connection:
        # A name that is not told here leads nowhere in the user's browser, either.
        pinned = data.connection.pinned
        url = PLEX_WEB if pinned else f"{data.connection.uri}/web"
    # There mostly is nothing new, which takes the registry much longer to find out.
    if device and (
        resource.product,
        resource.platform,
        resource.name,
        version,
        url,
        account.id,
    ) == (
        device.model,
        device.model_id,
        device.name,
        device.sw_version,
        device.configuration_url,
        device.via_device_id,
    ):
        return
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={(DOMAIN, resource.client_identifier)},
        manufacturer="Plex",
        model=resource.product,
        model_id=resource.platform,
        name=resource.name,
        sw_version=version,
        configuration_url=url,
        via_device_id=account.id,
    )


@callback
def async_remove_other_devices(
    hass: HomeAssistant,
    entry: ConfigEntry,
    followed: Iterable[str],
    known: Iterable[str] | None,
) -> None:
    """Let there be no devices but the account's and those of servers it follows.

    If not all servers are known, only those of known ones are removed.
    """
    registry = dr.async_get(hass)
    wanted = {(DOMAIN, key) for key in (str(entry.unique_id), *followed)}
    removable = None if known is None else {(DOMAIN, key) for key in known}
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        if device.identifiers.isdisjoint(wanted) and (
            removable is None or not device.identifiers.isdisjoint(removable)
        ):
            registry.async_remove_device(device.id)
