"""Repair issues: what only the user can mend, each gone as soon as it is.

Home Assistant forgets with an issue that somebody ignores it. So one stays as it is
while nobody can say whether it applies.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from awesomeversion import AwesomeVersion, AwesomeVersionException

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .api import PlainHttp, is_encrypted, plain_http
from .connection import PlexServerData
from .const import DOMAIN, TROUBLESHOOTING_URL
from .markdown import escape_markdown

ENCRYPTION_LOST: Final = "encryption_lost"
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


def _is_too_old(data: PlexServerData) -> bool | None:
    """Return if the server can't look sources up, for which only an own one is asked.

    What plex.tv tells of one that has never been reached may be long out of date.
    """
    if data.server is None:
        return None
    return data.resource.owned and _is_old(data.version or "")


def _is_unclaimed(data: PlexServerData) -> bool | None:
    """Return if the server has been signed out, so has no owner any more."""
    told = {
        data.server.claimed if data.server else None,
        data.account.signed_in if data.account else None,
    }
    return None if told == {None} else False in told


def _is_name_blocked(data: PlexServerData) -> bool | None:
    """Return if a name server hides the server's local address."""
    if not data.reachable:
        return None
    if data.name_blocked:
        # Without internet no name resolves.
        return data.plex_tv_answers or None
    return False


def _is_unencrypted(data: PlexServerData) -> bool | None:
    """Return if all that is sent to the server can be read on the way."""
    if data.reachable and data.connection:
        return not is_encrypted(data.connection)
    # Now nothing is sent, of which there is another issue.
    return False if data.only_unencrypted else None


def _may_be_allowed(data: PlexServerData) -> bool:
    """Return if plain HTTP would be allowed, had HTTPS never worked."""
    return plain_http(data.resource, https_worked=False) is PlainHttp.ALLOWED


def _has_lost_encryption(data: PlexServerData) -> bool | None:
    """Return if the server used to be reached in a better way."""
    return data.only_unencrypted and _may_be_allowed(data)


def _needs_encryption(data: PlexServerData) -> bool | None:
    """Return if the server has no way that it, or its place, allows."""
    return data.only_unencrypted and not _may_be_allowed(data)


_CHECKS: Final[dict[str, Callable[[PlexServerData], bool | None]]] = {
    "dns_rebinding": _is_name_blocked,
    ENCRYPTION_LOST: _has_lost_encryption,
    "encryption_required": _needs_encryption,
    "server_too_old": _is_too_old,
    "server_unclaimed": _is_unclaimed,
    "unencrypted": _is_unencrypted,
}


@callback
def async_update_issues(
    hass: HomeAssistant, entry: ConfigEntry, data: PlexServerData
) -> None:
    """Raise the issues that a server has now, and drop those that it has not."""
    name = data.resource.name
    for key, check in _CHECKS.items():
        applies = check(data)
        if applies:
            learn_more_url = f"{TROUBLESHOOTING_URL}#{key.replace('_', '-')}"
            ir.async_create_issue(
                hass,
                DOMAIN,
                _issue_id(key, entry, data),
                data={
                    "entry_id": entry.entry_id,
                    "machine_identifier": data.resource.client_identifier,
                },
                # Only this one can be decided here; repairs.py does what is chosen.
                is_fixable=key == ENCRYPTION_LOST,
                learn_more_url=learn_more_url,
                severity=ir.IssueSeverity.WARNING,
                translation_key=key,
                translation_placeholders={
                    "learn_more": learn_more_url,
                    "name": name,
                    "markdown_account": escape_markdown(entry.title),
                    "markdown_name": escape_markdown(name),
                    "version": escape_markdown(data.version or ""),
                },
            )
        elif applies is not None:
            ir.async_delete_issue(hass, DOMAIN, _issue_id(key, entry, data))


@callback
def async_drop_issues(
    hass: HomeAssistant, entry: ConfigEntry, data: PlexServerData
) -> None:
    """Drop the issues of a server that is not followed, but for what is ignored."""
    registry = ir.async_get(hass)
    for key in _CHECKS:
        issue = registry.async_get_issue(DOMAIN, _issue_id(key, entry, data))
        if issue and issue.dismissed_version is None:
            registry.async_delete(DOMAIN, issue.issue_id)


@callback
def async_forget_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget all issues of an account that is removed."""
    registry = ir.async_get(hass)
    beginnings = tuple(_id_beginning(key, entry) for key in _CHECKS)
    for domain, issue_id in list(registry.issues):
        if domain == DOMAIN and issue_id.startswith(beginnings):
            registry.async_delete(domain, issue_id)


def _issue_id(key: str, entry: ConfigEntry, data: PlexServerData) -> str:
    """Return the id of an issue of a server."""
    return f"{_id_beginning(key, entry)}{data.resource.client_identifier}"


def _id_beginning(key: str, entry: ConfigEntry) -> str:
    """Return what the ids of an issue begin with for all servers of an account."""
    return f"{key}_{entry.entry_id}_"
