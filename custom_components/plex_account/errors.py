"""What a Plex error means to a user of Home Assistant."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypedDict

from homeassistant.exceptions import HomeAssistantError

from .api import (
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexPermissionError,
    PlexRateLimitError,
    PlexServerError,
    PlexTimeoutError,
)
from .const import DOMAIN

# The first that fits counts: subclasses stand before their bases.
_TRANSLATION_KEYS: tuple[tuple[type[PlexError], str], ...] = (
    (PlexTimeoutError, "timeout_connect"),
    (PlexConnectionError, "cannot_connect"),
    (PlexServerError, "cannot_connect"),
    (PlexAuthenticationError, "auth_failed"),
    (PlexPermissionError, "not_permitted"),
    (PlexRateLimitError, "rate_limited"),
    (PlexError, "unexpected_response"),
)


class Translation(TypedDict):
    """The arguments by which Home Assistant's exceptions are translated."""

    translation_domain: str
    translation_key: str
    translation_placeholders: dict[str, str]


def translation(key: str, **placeholders: str) -> Translation:
    """Return the arguments for an exception with one of our own messages."""
    return Translation(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders=placeholders,
    )


def error_translation(err: PlexError, name: str) -> Translation:
    """Return the arguments for an exception about plex.tv, or a server of that name."""
    key = next(key for kind, key in _TRANSLATION_KEYS if isinstance(err, kind))
    return translation(key, name=name)


def server_error_translation(err: PlexError, name: str) -> Translation:
    """Return the arguments for an exception about a server.

    A server that rejects our token says nothing about the sign-in to plex.tv.
    """
    if isinstance(err, PlexAuthenticationError):
        return translation("not_accepted", name=name)
    return error_translation(err, name)


@contextmanager
def server_errors(name: str) -> Generator[None]:
    """Raise what is wrong with a server as what Home Assistant shows."""
    try:
        yield
    except PlexError as err:
        raise HomeAssistantError(**server_error_translation(err, name)) from err


def converted[ErrorT: HomeAssistantError](
    err: HomeAssistantError, kind: type[ErrorT]
) -> ErrorT:
    """Return an error of ours as one of another kind, with the same message."""
    return kind(
        translation_domain=err.translation_domain,
        translation_key=err.translation_key,
        translation_placeholders=err.translation_placeholders,
    )
