"""Repair issues: what only the user can mend, each gone as soon as it is."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from awesomeversion import AwesomeVersion, AwesomeVersionException

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN

if TYPE_CHECKING:
    from .coordinator import PlexServerCoordinator

LEARN_MORE_URL: Final = "https://github.com/plex-account/plex_account#troubleshooting"
# The first version that can look sources up.
MIN_VERSION: Final = AwesomeVersion("1.15.4")


@lru_cache
def _is_old(version: str) -> bool:
    """Return if a version can't look sources up."""
    try:
        # Such as 1.43.4.10903-e5521bd8c: the last part is the build, and no number.
        return AwesomeVersion(version.partition("-")[0]) < MIN_VERSION
    except AwesomeVersionException:
        return False


def _is_too_old(server: PlexServerCoordinator) -> bool:
    """Return if the server can't look sources up."""
    return _is_old(server.version or "")


def _is_unclaimed(server: PlexServerCoordinator) -> bool:
    """Return if the server has been signed out, so has no owner any more."""
    return server.server is not None and server.server.claimed is False


def _is_name_blocked(server: PlexServerCoordinator) -> bool:
    """Return if a name server hides the server's local address."""
    return server.reachable and server.name_blocked


_CHECKS: Final[dict[str, Callable[[PlexServerCoordinator], bool]]] = {
    "dns_rebinding": _is_name_blocked,
    "server_too_old": _is_too_old,
    "server_unclaimed": _is_unclaimed,
}


@callback
def async_update_issues(server: PlexServerCoordinator) -> None:
    """Raise the issues that a server has now, and drop the others."""
    for key, applies in _CHECKS.items():
        if applies(server):
            ir.async_create_issue(
                server.hass,
                DOMAIN,
                _issue_id(key, server),
                is_fixable=False,
                learn_more_url=LEARN_MORE_URL,
                severity=ir.IssueSeverity.WARNING,
                translation_key=key,
                translation_placeholders={
                    "account": server.config_entry.title,
                    "name": server.resource.name,
                },
            )
        else:
            ir.async_delete_issue(server.hass, DOMAIN, _issue_id(key, server))


@callback
def async_delete_issues(server: PlexServerCoordinator) -> None:
    """Drop the issues of a server that is no longer followed."""
    for key in _CHECKS:
        ir.async_delete_issue(server.hass, DOMAIN, _issue_id(key, server))


def _issue_id(key: str, server: PlexServerCoordinator) -> str:
    """Return the id of an issue of a server."""
    return f"{key}_{server.config_entry.entry_id}_{server.resource.client_identifier}"
