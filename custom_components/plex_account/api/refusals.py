"""Which error an answer of Plex's stands for that refuses what it was asked for."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from aiohttp import ClientResponse, hdrs

from .exceptions import (
    PlexAuthenticationError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexNotFoundError,
    PlexPermissionError,
    PlexRateLimitError,
    PlexResponseError,
    PlexServerError,
    PlexThrottledError,
    PlexTwoFactorRequiredError,
)
from .reading import decode, integer

# Seconds. Plex was seen to ask for nothing; whatever asks for more than a day is wrong.
MAX_RETRY_AFTER = 86_400

# Plex's code says more than the status: a throttled IP address is a 401 as well.
_ERROR_BY_CODE: dict[int, type[PlexError]] = {
    1001: PlexAuthenticationError,
    1003: PlexRateLimitError,
    1004: PlexAuthenticationError,
    1020: PlexNotFoundError,
    1028: PlexInvalidTwoFactorCodeError,
    1029: PlexTwoFactorRequiredError,
    1031: PlexThrottledError,
}
_JWT_EXPIRED = 498
_ERROR_BY_STATUS: dict[int, type[PlexError]] = {
    HTTPStatus.UNAUTHORIZED: PlexAuthenticationError,
    HTTPStatus.FORBIDDEN: PlexPermissionError,
    HTTPStatus.NOT_FOUND: PlexNotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: PlexRateLimitError,
    _JWT_EXPIRED: PlexAuthenticationError,
}


def refusal(response: ClientResponse, body: bytes, what: str) -> PlexError:
    """Return the error that a refusing answer stands for."""
    status = response.status
    code = _error_code(body)
    kind: type[PlexError] | None = None
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = _ERROR_BY_CODE.get(code or 0) or _ERROR_BY_STATUS.get(status)
        # The older account API tells a dead token in this way, without a code.
        if status == HTTPStatus.UNPROCESSABLE_ENTITY and b"invalid token" in (
            body.lower()
        ):
            kind = PlexAuthenticationError
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = PlexServerError
    return (kind or PlexResponseError)(
        f"{what}: HTTP {status}" + (f", Plex error {code}" if code else ""),
        status=status,
        code=code,
        retry_after=_retry_after(response.headers.get(hdrs.RETRY_AFTER)),
    )


def _error_code(body: bytes) -> int | None:
    """Return Plex's code from an error body; media servers send HTML without one."""
    try:
        match decode(body):
            case {"errors": [dict(error), *_]} | {
                "errors": {"error": [dict(error), *_]}
            }:
                return integer(error, "code")
    except ValueError:
        pass
    return None


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, None if it makes no sense."""
    if value is None:
        return None
    if value.isdecimal():
        seconds = float(value)
    else:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return seconds if 0 < seconds <= MAX_RETRY_AFTER else None
