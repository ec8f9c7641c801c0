"""How is read what a server tells of its account and its remote access."""

import pytest

from custom_components.plex_account.api import RemoteAccess
from custom_components.plex_account.api.reading import Json
from custom_components.plex_account.api.remote_access import (
    PUBLISH_PREFERENCE,
    ServerAccount,
    concerns_remote_access,
    is_published,
)

ACCOUNT: dict[str, Json] = {
    "authToken": "secret",
    "username": "ada@plex-user.example",
    "signInState": "ok",
    "mappingState": "mapped",
    "mappingError": "",
}
OTHER: Json = {"id": "FriendlyName", "value": True}
PUBLISH: dict[str, Json] = {"id": PUBLISH_PREFERENCE, "value": True}


def read(changes: dict[str, Json], published: bool | None = True) -> ServerAccount:
    """Read an answer that differs from the usual one."""
    body: Json = {"MyPlex": {**ACCOUNT, **changes}}
    return ServerAccount.from_json(body, published=published)


def notification(**content: Json) -> Json:
    """Return what is pushed."""
    return {"NotificationContainer": content}


@pytest.mark.parametrize(
    ("state", "username", "expected"),
    [
        ("ok", "ada", True),
        ("ok", "", False),
        ("none", "ada", False),
        ("", "ada", None),
        (None, None, None),
    ],
)
def test_signed_in(state: Json, username: Json, expected: bool | None) -> None:
    """A server is somebody's if it says that it is signed in, and to whom."""
    account = read({"signInState": state, "username": username})
    assert account.signed_in is expected
    assert "secret" not in repr(account)


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("mapped", "", RemoteAccess.AVAILABLE),
        ("mapped", "unreachable", RemoteAccess.UNREACHABLE),
        ("waiting", "", RemoteAccess.PENDING),
        ("waiting", "unreachable", RemoteAccess.PENDING),
        ("unknown", "", RemoteAccess.UNREACHABLE),
        ("failed", "publisherror", RemoteAccess.UNREACHABLE),
        ("new in Plex", "", None),
        (None, None, None),
    ],
)
def test_remote_access(state: Json, error: Json, expected: RemoteAccess | None) -> None:
    """What Plex has found out counts, unless the owner does not want it."""
    found: dict[str, Json] = {"mappingState": state, "mappingError": error}
    assert read(found).remote_access is expected
    assert read(found, None).remote_access is expected
    assert read(found, False).remote_access is RemoteAccess.DISABLED


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([OTHER, PUBLISH], True),
        ([{**PUBLISH, "value": False}, OTHER], False),
        ([{**PUBLISH, "value": "1"}], True),
        ([{**PUBLISH, "value": "perhaps"}], None),
        ([OTHER], None),
        ([], None),
        (None, None),
    ],
)
def test_published(settings: Json, expected: bool | None) -> None:
    """The owner's wish is one preference among hundreds."""
    assert is_published({"MediaContainer": {"Setting": settings}}) is expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (notification(type="reachability"), True),
        (notification(type="preference", Setting=[OTHER, PUBLISH]), True),
        (notification(type="preference", Setting=[OTHER]), False),
        (notification(type="preference"), False),
        (notification(type="activity", Setting=[PUBLISH]), False),
        (notification(), False),
        ({"NotificationContainer": "reachability"}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_pushed(message: Json, expected: bool) -> None:
    """Only two kinds of messages are about it."""
    assert concerns_remote_access(message) is expected
