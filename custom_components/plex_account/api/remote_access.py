"""Whether a server can be reached from outside its home, as it tells itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from .reading import Json, flag, objects, root, text

# The preference by which an owner turns remote access on.
PUBLISH_PREFERENCE: Final = "PublishServerOnPlexOnlineKey"


class RemoteAccess(StrEnum):
    """How it is with a server's remote access."""

    AVAILABLE = "available"
    PENDING = "pending"
    # Not "unavailable", which Home Assistant calls an entity of which nothing is known.
    UNREACHABLE = "unreachable"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccount:
    """What a server tells of the account it is signed in to.

    `remote_access` is None where it says nothing that is known, `signed_in` where it
    does not say.
    """

    signed_in: bool | None
    remote_access: RemoteAccess | None

    @classmethod
    def from_json(cls, body: Json, *, published: bool | None) -> Self:
        """Read the answer; `published` is the owner's wish, None if not known.

        The answer holds the account's token too, which is not read.
        """
        data = root(body, "MyPlex")
        state = text(data, "signInState")
        return cls(
            signed_in=state == "ok" and text(data, "username") is not None
            if state
            else None,
            remote_access=RemoteAccess.DISABLED
            if published is False
            else _remote_access(data),
        )


def _remote_access(data: dict[str, Json]) -> RemoteAccess | None:
    """Return what Plex has found out when it tried."""
    match text(data, "mappingState"), text(data, "mappingError"):
        case "mapped", None:
            return RemoteAccess.AVAILABLE
        case "waiting", _:
            return RemoteAccess.PENDING
        case "mapped" | "unknown" | "failed", _:
            return RemoteAccess.UNREACHABLE
    return None


def is_published(body: Json) -> bool | None:
    """Return if the owner wants remote access, None if the preferences don't say."""
    setting = _publish_setting(root(body, "MediaContainer"))
    return flag(setting, "value") if setting else None


def concerns_remote_access(message: Json) -> bool:
    """Return if a pushed message may mean that remote access has changed."""
    data = message.get("NotificationContainer") if isinstance(message, dict) else None
    if not isinstance(data, dict):
        return False
    kind = text(data, "type")
    return kind == "reachability" or (
        kind == "preference" and _publish_setting(data) is not None
    )


def _publish_setting(data: dict[str, Json]) -> dict[str, Json] | None:
    """Return the preference among others, None if it is not there."""
    for setting in objects(data.get("Setting")):
        if text(setting, "id") == PUBLISH_PREFERENCE:
            return setting
    return None
