"""Diagnostics: what helps to understand a problem, and nothing personal.

Values are picked one by one rather than redacted: what is new in Plex's answers is
left out until somebody has looked at it.
"""

from collections import Counter
from datetime import datetime
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util

from .api import PLEX_TV_URL, Connection, ProbeOutcome, Reply, Resource, tier
from .base_coordinator import PlexCoordinator
from .const import CONF_SERVER_URL, DOMAIN
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .server_coordinator import PlexServerCoordinator


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: PlexConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics of an account with all of its servers."""
    account = entry.runtime_data
    shared = [server for server in account.data.servers.values() if not server.owned]
    return {
        "account": _account(account),
        "servers": [_server(server) for server in account.servers.values()],
        "shared_servers": [_resource(server) for server in shared],
    }


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: PlexConfigEntry, device: dr.AnyDeviceEntry
) -> dict[str, Any]:
    """Return the diagnostics of a server, or of the account itself."""
    account = entry.runtime_data
    for key, server in account.servers.items():
        if (DOMAIN, key) in device.identifiers:
            return {"server": _server(server)}
    return {"account": _account(account)}


def _account(account: PlexAccountCoordinator) -> dict[str, Any]:
    """Return what matters of an account."""
    user = account.data.user
    return {
        **_refreshes(account),
        "plex_pass": user.subscription.active,
        "plan": user.subscription.plan,
        "confirmed": user.confirmed,
        "has_password": user.has_password,
        "two_factor_enabled": user.two_factor_enabled,
        "guest": user.guest,
        "restricted": user.restricted,
        "home": user.home,
        "home_admin": user.home_admin,
        "home_size": user.home_size,
        "servers_left_out": account.data.unusable,
        "default_server_url": account.config_entry.data[CONF_SERVER_URL] == PLEX_TV_URL,
    }


def _server(server: PlexServerCoordinator) -> dict[str, Any]:
    """Return what matters of one of the account's servers."""
    data = server.data
    return {
        **_refreshes(server),
        **_resource(data.resource),
        "reachable": data.reachable,
        "version": data.version,
        "claimed": data.server.claimed if data.server else None,
        "remote_access": data.account.remote_access if data.account else None,
        "signed_in": data.account.signed_in if data.account else None,
        "connection": _connection(data.connection) if data.connection else None,
        "https_worked": data.https_worked,
        "name_blocked": data.name_blocked,
        "tried": _tried(data.outcome) if data.outcome else {},
        "transient_token_age": _age(data.token.issued_at) if data.token else None,
    }


def _resource(resource: Resource) -> dict[str, Any]:
    """Return what plex.tv tells of a server."""
    return {
        "owned": resource.owned,
        "home": resource.home,
        "presence": resource.presence,
        "relay": resource.relay,
        "https_required": resource.https_required,
        "public_address_matches": resource.public_address_matches,
        "product_version": resource.product_version,
        "platform": resource.platform,
        "connections": [_connection(item) for item in resource.connections],
    }


def _connection(connection: Connection) -> dict[str, Any]:
    """Return of what kind a connection is, but not where."""
    return {
        "kind": tier(connection).name.lower(),
        "protocol": connection.protocol,
        "ipv6": connection.ipv6,
        "pinned": connection.pinned,
    }


def _tried(outcome: ProbeOutcome) -> dict[str, int]:
    """Return how many of the connections that were tried last came to what."""
    return dict(
        Counter(
            f"{tier(result.connection).name.lower()} answered"
            if isinstance(result, Reply)
            else type(result).__name__
            for result in outcome.tried.values()
        )
    )


def _refreshes(coordinator: PlexCoordinator[Any]) -> dict[str, Any]:
    """Return how the refreshes of a coordinator go."""
    refreshed_at = coordinator.last_update_success_time
    error = coordinator.last_exception
    return {
        "last_update_success": coordinator.last_update_success,
        "last_refresh_age": _age(refreshed_at) if refreshed_at else None,
        "last_error": getattr(error, "translation_key", None) or type(error).__name__
        if error
        else None,
    }


def _age(when: datetime) -> float:
    """Return how many seconds ago something was."""
    return (dt_util.utcnow() - when).total_seconds()
