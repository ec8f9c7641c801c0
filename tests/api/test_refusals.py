"""Which error a refusal becomes."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

import pytest

from custom_components.plex_account.api import (
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
from tests.plex_emulator import PlexEmulator, error

from . import PATH, Fetch, answer


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, 1000, PlexResponseError),
        (401, 1001, PlexAuthenticationError),
        (429, 1003, PlexRateLimitError),
        (401, 1003, PlexRateLimitError),
        (400, 1004, PlexAuthenticationError),
        (401, 1004, PlexAuthenticationError),
        (404, 1020, PlexNotFoundError),
        (401, 1028, PlexInvalidTwoFactorCodeError),
        (400, 1028, PlexInvalidTwoFactorCodeError),
        (401, 1029, PlexTwoFactorRequiredError),
        (401, 1031, PlexThrottledError),
        (429, 1031, PlexThrottledError),
        (403, 1041, PlexPermissionError),
        (422, 1097, PlexResponseError),
        (498, 498, PlexAuthenticationError),
        (401, 9999, PlexAuthenticationError),
        (500, 1001, PlexServerError),
        (503, 1003, PlexServerError),
        (302, 1001, PlexResponseError),
    ],
)
async def test_error_code(
    fetch: Fetch, plex: PlexEmulator, status: int, code: int, expected: type[PlexError]
) -> None:
    """Plex's code says more than the status, but not of Plex's own failures."""
    kinds: list[Literal["json", "xml"]] = ["json", "xml"]
    for kind in kinds:
        plex.faults.add(error(status, kind=kind, code=code))
        with pytest.raises(PlexError) as caught:
            await fetch()
        assert (kind, caught.type) == (kind, expected)
        assert (kind, caught.value.status) == (kind, status)
        assert (kind, caught.value.code) == (kind, code)
        assert str(caught.value) == f"GET {PATH}: HTTP {status}, Plex error {code}"
        assert caught.value.retry_after is None


WITHOUT_CODE = [
    b"",
    b"<html><head><title>No</title></head><body><h1>No</h1></body></html>",
    b"<html><body>No<br></html>",
    b"error code: 1001",
    b"\xff\xfe\0",
    b"[]",
    b'{"errors": []}',
    b'{"errors": null}',
    b'{"errors": [null]}',
    b'{"errors": [{"message": "No"}]}',
    b'{"errors": [{"code": null}]}',
    b"<errors/>",
    b"<errors><error>No</error></errors>",
    b'<errors><error code="many"/></errors>',
    b'<Response code="1001"/>',
]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (300, PlexResponseError),
        (304, PlexResponseError),
        (400, PlexResponseError),
        (401, PlexAuthenticationError),
        (402, PlexResponseError),
        (403, PlexPermissionError),
        (404, PlexNotFoundError),
        (405, PlexResponseError),
        (418, PlexResponseError),
        (422, PlexResponseError),
        (429, PlexRateLimitError),
        (498, PlexAuthenticationError),
        (500, PlexServerError),
        (501, PlexServerError),
        (502, PlexServerError),
        (503, PlexServerError),
        (504, PlexServerError),
        (599, PlexServerError),
    ],
)
async def test_error_without_code(
    fetch: Fetch, plex: PlexEmulator, status: int, expected: type[PlexError]
) -> None:
    """Without a code the status decides, whatever the body is."""
    for body in WITHOUT_CODE:
        answer(plex, b"" if status == 304 else body, status, "text/html")
        with pytest.raises(PlexError) as caught:
            await fetch()
        assert (body, caught.type) == (body, expected)
        assert (body, caught.value.status) == (body, status)
        assert (body, caught.value.code) == (body, None)
        assert str(caught.value) == f"GET {PATH}: HTTP {status}"


INVALID_TOKEN = b"<errors><error>Invalid token</error></errors>"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (422, INVALID_TOKEN, PlexAuthenticationError),
        (422, b'{"errors":[{"message":"INVALID TOKEN"}]}', PlexAuthenticationError),
        (422, b"<errors><error>Invalid e-mail</error></errors>", PlexResponseError),
        (400, INVALID_TOKEN, PlexResponseError),
        (403, INVALID_TOKEN, PlexPermissionError),
    ],
)
async def test_invalid_token(
    fetch: Fetch,
    plex: PlexEmulator,
    status: int,
    body: bytes,
    expected: type[PlexError],
) -> None:
    """The older API says in words that a token is dead."""
    answer(plex, body, status, "application/xml")
    with pytest.raises(PlexError) as caught:
        await fetch()
    assert caught.type is expected
    assert caught.value.status == status


def _after(seconds: float, zone: str = "GMT") -> str:
    """Return a date in the form that HTTP has."""
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    return format_datetime(when, usegmt=True).replace("GMT", zone)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("0", None),
        ("1", 1),
        ("30", 30),
        ("86400", 86_400),
        ("86401", None),
        ("-1", None),
        ("1.5", None),
        ("1e12", None),
        ("1000000000000", None),
        ("9" * 400, None),
        ("soon", None),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
        ("Wed, 21 Oct 2026 07:28:00 +9999", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
    ],
)
async def test_retry_after(
    fetch: Fetch, plex: PlexEmulator, value: str | None, expected: float | None
) -> None:
    """How long to wait is handed on if it makes sense."""
    headers = {} if value is None else {"Retry-After": value}
    plex.faults.add(error(429, code=1003, headers=headers))
    with pytest.raises(PlexRateLimitError) as caught:
        await fetch()
    assert caught.value.retry_after == expected
    assert len(plex.requests) == 1


@pytest.mark.parametrize(
    ("seconds", "zone", "expected"),
    [
        (90, "GMT", 90),
        (90, "-0000", 90),
        (90, "-0100", 3690),
        (-90, "GMT", None),
        (90_000, "GMT", None),
    ],
)
async def test_retry_after_date(
    fetch: Fetch, plex: PlexEmulator, seconds: float, zone: str, expected: float | None
) -> None:
    """A date is turned into the seconds until then."""
    headers = {"Retry-After": _after(seconds, zone)}
    plex.faults.add(error(429, code=1003, headers=headers))
    with pytest.raises(PlexRateLimitError) as caught:
        await fetch()
    assert caught.value.retry_after == (
        None if expected is None else pytest.approx(expected, abs=5)
    )
