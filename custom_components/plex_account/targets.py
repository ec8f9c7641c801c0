"""Whom an action is about: the account, the server or the servers that it names."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import ServiceCall
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.service import async_get_config_entry

from .const import DOMAIN
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .errors import translation
from .server_coordinator import PlexServerCoordinator

ATTR_ASK_DEVICE_ID = "ask_device_id"


def get_account(call: ServiceCall) -> PlexAccountCoordinator:
    """Return the account that an action is about: the one named, or the only one."""
    entry_id = call.data.get(ATTR_CONFIG_ENTRY_ID)
    for field in (ATTR_ASK_DEVICE_ID, ATTR_DEVICE_ID):
        _, owner = _device(call, field)
        entry_id = entry_id or (owner and owner.entry_id)
    if entry_id:
        named: PlexConfigEntry = async_get_config_entry(call.hass, DOMAIN, entry_id)
        return named.runtime_data
    loaded: list[PlexConfigEntry] = call.hass.config_entries.async_loaded_entries(
        DOMAIN
    )
    match loaded:
        case [entry]:
            return entry.runtime_data
        case []:
            raise ServiceValidationError(**translation("no_account"))
        case _:
            titles = ", ".join(sorted(entry.title for entry in loaded))
            raise ServiceValidationError(
                **translation("account_required", accounts=titles)
            )


def _device(
    call: ServiceCall, field: str
) -> tuple[dr.AnyDeviceEntry | None, ConfigEntry | None]:
    """Return the device that a field names, and the account that it belongs to."""
    return dr.async_get_device_and_config_entry_for_domain(
        call.hass, call.data.get(field, ""), domain=DOMAIN
    )


def get_server(
    call: ServiceCall, account: PlexAccountCoordinator, field: str
) -> PlexServerCoordinator | None:
    """Return the server whose device a field names, None if it names none."""
    if (device_id := call.data.get(field)) is None:
        return None
    title = account.config_entry.title
    device, entry = _device(call, field)
    if device and entry:
        if entry is not account.config_entry:
            raise ServiceValidationError(
                **translation(
                    "device_of_other_account",
                    device=device.name or device_id,
                    account=title,
                    other=entry.title,
                )
            )
        for _, identifier in device.identifiers:
            if server := account.servers.get(identifier):
                return server
    raise ServiceValidationError(**translation("invalid_device", account=title))


def get_servers(account: PlexAccountCoordinator) -> list[PlexServerCoordinator]:
    """Return the account's servers, of which there is at least one."""
    if servers := list(account.servers.values()):
        return servers
    title = account.config_entry.title
    raise ServiceValidationError(**translation("no_server", account=title))


def get_only_server(account: PlexAccountCoordinator) -> PlexServerCoordinator:
    """Return the account's server, which need not be named if it is the only one."""
    match get_servers(account):
        case [server]:
            return server
        case servers:
            title, count = account.config_entry.title, str(len(servers))
            raise ServiceValidationError(
                **translation("server_required", account=title, count=count)
            )
