"""The one place that sends a request to Plex and reads the answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
import random
from typing import NamedTuple
from xml.etree import ElementTree as ET

from aiohttp import (
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ServerDisconnectedError,
)
import orjson
from yarl import URL

from .exceptions import (
    PlexAuthenticationError,
    PlexCertificateError,
    PlexConnectionError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexNotFoundError,
    PlexPermissionError,
    PlexRateLimitError,
    PlexResponseError,
    PlexServerError,
    PlexThrottledError,
    PlexTimeoutError,
    PlexTwoFactorRequiredError,
)

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None

# Seconds. The total covers all attempts and the pauses between them.
CONNECT_TIMEOUT = 5
TOTAL_TIMEOUT = 15
MAX_RETRIES = 2
BACKOFF = 0.5
# Plex was seen to ask for nothing; whatever asks for more than a day is wrong.
MAX_RETRY_AFTER = 86_400

MAX_BODY_SIZE = 8 * 1024 * 1024
# A larger body is decoded in a thread, so that nothing else has to wait for it.
MAX_INLINE_SIZE = 256 * 1024
MAX_XML_DEPTH = 32

_TIMEOUT = ClientTimeout(total=None, connect=CONNECT_TIMEOUT)
# A fault in between that a moment later may be over.
_PASSING_STATUSES = {
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """How we present ourselves to Plex, in the `X-Plex-*` headers.

    plex.tv keys its list of devices and its tokens on `client_identifier`: a new one
    is a new device, so keep it. The other values are what a user sees in that list.
    """

    client_identifier: str
    product: str
    version: str
    platform: str
    platform_version: str
    device: str
    device_name: str

    def headers(self) -> dict[str, str]:
        """Return the headers that every request to Plex carries."""
        return {
            "Accept": "application/json",
            "X-Plex-Client-Identifier": self.client_identifier,
            "X-Plex-Product": self.product,
            "X-Plex-Version": self.version,
            "X-Plex-Platform": self.platform,
            "X-Plex-Platform-Version": self.platform_version,
            "X-Plex-Device": self.device,
            "X-Plex-Device-Name": self.device_name,
        }


class Answer(NamedTuple):
    """A successful answer, before it is known what it is."""

    status: int
    content_type: str
    body: bytes


async def request(
    session: ClientSession,
    identity: ClientIdentity,
    method: str,
    url: URL,
    *,
    token: str | None = None,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    retries: int = MAX_RETRIES,
    address: str | None = None,
) -> Json:
    """Send a request to Plex and return its decoded body, None if it is empty.

    Raises what `fetch` does, and PlexResponseError for what is no JSON or XML.
    """
    answer = await fetch(
        session,
        identity,
        method,
        url,
        token=token,
        params=params,
        form=form,
        retries=retries,
        address=address,
    )
    try:
        if len(answer.body) > MAX_INLINE_SIZE:
            return await asyncio.to_thread(_decode, answer.body)
        return _decode(answer.body)
    except ValueError as err:
        raise PlexResponseError(
            f"{method} {url.path}: neither JSON nor XML", status=answer.status
        ) from err


async def fetch(
    session: ClientSession,
    identity: ClientIdentity,
    method: str,
    url: URL,
    *,
    token: str | None = None,
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    retries: int = MAX_RETRIES,
    address: str | None = None,
) -> Answer:
    """Send a request to Plex and return the answer as it is.

    Only a GET is tried again, at most `retries` times, after a broken connection or a
    502, 503 or 504. All attempts together take at most 15 seconds. A redirect is an
    error: following it would take the token to another host. With an `address` the
    host's name is not looked up, but its certificate is verified all the same.

    Raises a PlexError of the kind that fits; PlexResponseError is also for a body
    of more than 8 MiB.
    """
    headers = identity.headers()
    if token is not None:
        headers["X-Plex-Token"] = token
    what = f"{method} {url.path}"
    server_hostname = None
    if address is not None:
        server_hostname = url.host
        url = url.with_host(address)
    retries_left = retries if method == "GET" else 0
    backoff = BACKOFF
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TOTAL_TIMEOUT
    try:
        async with asyncio.timeout_at(deadline):
            while True:
                try:
                    return await _send(
                        session,
                        method,
                        url,
                        what,
                        headers,
                        params,
                        form,
                        server_hostname,
                    )
                except (PlexConnectionError, PlexServerError) as err:
                    # Jitter keeps many clients from coming back in step.
                    pause = err.retry_after or backoff * random.uniform(1, 1.5)
                    if (
                        not retries_left
                        or not _may_pass(err)
                        or loop.time() + pause >= deadline
                    ):
                        raise
                await asyncio.sleep(pause)
                retries_left -= 1
                backoff *= 2
    except TimeoutError as err:
        raise PlexTimeoutError(f"{what}: no answer in {TOTAL_TIMEOUT} s") from err


def _may_pass(err: PlexError) -> bool:
    """Return if the same request may succeed a moment later."""
    return err.status is None or err.status in _PASSING_STATUSES


async def _send(
    session: ClientSession,
    method: str,
    url: URL,
    what: str,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None,
    form: Mapping[str, str] | None,
    server_hostname: str | None,
) -> Answer:
    """Send a request once."""

    async def once(req: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        try:
            return await handler(req)
        except (ClientOSError, ServerDisconnectedError) as err:
            # As one of its own errors, aiohttp would send a DELETE or a GET again.
            raise _connection_error(err, what) from _harmless(err)

    try:
        async with session.request(
            method,
            url,
            params=params,
            data=form,
            headers=headers,
            allow_redirects=False,
            timeout=_TIMEOUT,
            server_hostname=server_hostname,
            middlewares=(once,),
        ) as response:
            body = await _read_body(response, what)
    except TimeoutError as err:
        raise PlexTimeoutError(f"{what}: no connection in time") from err
    except (ClientError, UnicodeError) as err:
        # The latter is Python's own resolver's, about a name that can't be one.
        raise _connection_error(err, what) from _harmless(err)
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _error(response, body, what)
    return Answer(response.status, response.content_type, body)


def _connection_error(err: Exception, what: str) -> PlexConnectionError:
    """Return the error for a connection that failed."""
    kind = (
        PlexCertificateError
        if isinstance(err, ClientSSLError)
        else (PlexConnectionError)
    )
    return kind(f"{what}: {type(err).__name__}")


def _harmless(err: Exception) -> Exception | None:
    """Return a cause that may be logged: others quote an answer that is no HTTP."""
    return err if isinstance(err, OSError) else None


async def _read_body(response: ClientResponse, what: str) -> bytes:
    """Read a body up to the limit, after any decompression."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_SIZE:
            raise PlexResponseError(
                f"{what}: more than {MAX_BODY_SIZE} bytes", status=response.status
            )
    return b"".join(chunks)


def _error(response: ClientResponse, body: bytes, what: str) -> PlexError:
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
        retry_after=_retry_after(response.headers.get("Retry-After")),
    )


def _error_code(body: bytes) -> int | None:
    """Return Plex's code from an error body; media servers send HTML without one."""
    try:
        match _decode(body):
            case {"errors": [{"code": int(code)}, *_]}:
                return code
            case {"errors": {"error": [{"code": str(code)}, *_]}}:
                return int(code)
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


def _decode(body: bytes) -> Json:
    """Decode JSON or XML, whichever it is: Plex answers XML where it pleases.

    Raises ValueError for anything else.
    """
    if not body:
        return None
    if body.lstrip().startswith(b"<"):
        # Plex sends no document type, and its entities can be bombs. Nor does it send
        # UTF-16, in which this would not find one.
        if b"<!DOCTYPE" in body or b"\0" in body:
            raise ValueError("XML with a document type")
        try:
            root = ET.fromstring(body)
        except (ET.ParseError, LookupError) as err:  # the latter for an encoding
            raise ValueError(str(err)) from err
        if root.tag == "html":
            raise ValueError("A web page")
        return {root.tag: _xml_to_json(root)}
    decoded: Json = orjson.loads(body)
    return decoded


def _xml_to_json(element: ET.Element, depth: int = 1) -> dict[str, Json]:
    """Return attributes by name and child elements as lists by tag."""
    if depth > MAX_XML_DEPTH:
        raise ValueError("XML nested too deep")
    children: dict[str, list[Json]] = {}
    for child in element:
        children.setdefault(child.tag, []).append(_xml_to_json(child, depth + 1))
    return {**element.attrib, **children}
