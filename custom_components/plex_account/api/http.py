"""The one place that sends a request to Plex and reads the answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from http import HTTPStatus
import random
from typing import Final

from aiohttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWSTimeout,
    WSMsgType,
    hdrs,
)
from yarl import URL

from .exceptions import (
    PlexConnectionError,
    PlexError,
    PlexResponseError,
    PlexServerError,
    PlexTimeoutError,
)
from .reading import Json, decode, one_line
from .refusals import refusal
from .transport import connecting, media_type, once

# Seconds. The total covers all attempts and the pauses between them.
CONNECT_TIMEOUT = 5
TOTAL_TIMEOUT = 15
MAX_RETRIES = 2
BACKOFF = 0.5

# Bytes after decompression, by what is asked for: a token or who is there, the details
# of something, a list or a picture.
TOKEN_SIZE: Final = 8 * 1024
DETAILS_SIZE: Final = 256 * 1024
LIST_SIZE: Final = 8 * 1024 * 1024
# A larger body is read in a thread, so that nothing else has to wait for it.
MAX_INLINE_SIZE: Final = 32 * 1024
# What is read at once, however small the pieces are in which it comes.
READ_SIZE: Final = 16 * 1024
# Bytes of a pushed message, of which those that we want have a few hundred.
MESSAGE_SIZE: Final = 64 * 1024
# Seconds between two signs of life on a WebSocket, and that its end may take.
HEARTBEAT: float = 15
CLOSE_TIMEOUT: Final = 0.25

_TIMEOUT = ClientTimeout(total=None, connect=CONNECT_TIMEOUT)
# What is read at once of a file, and handed on: as much as asyncio reads.
STREAM_SIZE: Final = 256 * 1024
# A file may take long, but nothing may come of it for half a minute only, as while a
# disk wakes up. How long what has come is held up does not count.
STREAM_TIMEOUT: Final = ClientTimeout(total=None, connect=CONNECT_TIMEOUT, sock_read=30)

_STREAM_STATUSES = {
    HTTPStatus.OK,
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
}
# A fault in between that a moment later may be over.
_PASSING_STATUSES = {
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}

_TOKEN = "X-Plex-Token"
_CLIENT_IDENTIFIER = "X-Plex-Client-Identifier"
_ACCEPT = {"Accept": "application/json"}
# Neither the account nor the home, nor what runs here in which version.
_ANONYMOUS = {**_ACCEPT, "User-Agent": "Plex client"}


@dataclass(frozen=True, kw_only=True)
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

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers by which Plex knows us, in which nothing breaks a line."""
        values = {
            _CLIENT_IDENTIFIER: self.client_identifier,
            "X-Plex-Product": self.product,
            "X-Plex-Version": self.version,
            "X-Plex-Platform": self.platform,
            "X-Plex-Platform-Version": self.platform_version,
            "X-Plex-Device": self.device,
            "X-Plex-Device-Name": self.device_name,
        }
        return _ACCEPT | {name: one_line(value) for name, value in values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer, before it is known what it is."""

    what: str
    status: int
    content_type: str
    body: bytes
    location: str | None
    """Where a redirect leads."""

    async def read[T](self, reader: Callable[[Json], T]) -> T:
        """Return what `reader` makes of the decoded body.

        Raises PlexResponseError for what is no JSON or XML, and what `reader` raises.
        """
        if len(self.body) > MAX_INLINE_SIZE:
            return await asyncio.to_thread(self._read, reader)
        return self._read(reader)

    def _read[T](self, reader: Callable[[Json], T]) -> T:
        """Decode and read the body."""
        try:
            body = decode(self.body)
        except ValueError as err:
            raise PlexResponseError(
                f"{self.what}: neither JSON nor XML", status=self.status
            ) from err
        return reader(body)


class PlexSession:
    """An aiohttp session, which is the caller's, with what we are to Plex."""

    def __init__(
        self,
        session: ClientSession,
        identity: ClientIdentity,
        address: str | None = None,
    ) -> None:
        """Keep what every request needs; nothing is sent.

        With an `address` the names of hosts are not looked up, but their certificates
        are verified all the same.
        """
        self._session = session
        self._address = address
        self._headers = identity.headers
        self._once = partial(once, session.connector)

    async def request(
        self,
        method: str,
        url: URL,
        *,
        size: int,
        token: str | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        retries: int = MAX_RETRIES,
        anonymous: bool = False,
        may_redirect: bool = False,
    ) -> Answer:
        """Send a request to Plex and return the answer, of at most `size` bytes.

        Only a GET is tried again, at most `retries` times, after a broken connection or
        a 502, 503 or 504. All attempts together take at most 15 seconds. A redirect is
        never followed, which would take the token to another host, and an error unless
        it `may_redirect`. Cookies are neither kept nor sent. An `anonymous` request
        says nothing about who sends it.

        Raises a PlexError of the kind that fits; PlexResponseError is also for a body
        that is too large.
        """
        headers = _ANONYMOUS if anonymous else self._headers
        if token is not None:
            headers = {**headers, _TOKEN: token}
        target, server_hostname = self._target(url)
        send = partial(
            self._session.request,
            method,
            target,
            params=params,
            data=form,
            headers=headers,
            allow_redirects=False,
            timeout=_TIMEOUT,
            read_bufsize=READ_SIZE,
            server_hostname=server_hostname,
            middlewares=(self._once,),
        )
        what = f"{method} {url.path}"
        retries_left = retries if method == "GET" else 0
        backoff = BACKOFF
        loop = asyncio.get_running_loop()
        deadline = loop.time() + TOTAL_TIMEOUT
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        return await _send(send, what, size, may_redirect=may_redirect)
                    except (PlexConnectionError, PlexServerError) as err:
                        # Jitter keeps many clients from coming back in step.
                        pause = (err.retry_after or backoff) * random.uniform(1, 1.5)
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

    async def stream(
        self,
        method: str,
        url: URL,
        *,
        token: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> ClientResponse:
        """Send a request once, and return the answer, to be read and closed.

        `read_stream` reads a body that is not large. Others may take long: to read them
        raises aiohttp's ClientError if they break off or nothing comes for 30 seconds.
        `headers` are sent as they are; of our own only the identifier is, as it takes
        time to send what nobody reads. An answer of 200, 206, 304 or 416 is returned;
        any other, or none, raises a PlexError as a request does.
        """
        what = f"{method} {url.path}"
        target, server_hostname = self._target(url)
        with connecting(what):
            # Nor does a head that comes byte by byte take longer.
            async with asyncio.timeout(STREAM_TIMEOUT.sock_read):
                response = await self._session.request(
                    method,
                    target,
                    params=params,
                    headers={
                        _CLIENT_IDENTIFIER: self._headers[_CLIENT_IDENTIFIER],
                        # What is counted is what is sent, not what could be made of it.
                        hdrs.ACCEPT_ENCODING: "identity",
                        **headers,
                        _TOKEN: token,
                    },
                    allow_redirects=False,
                    auto_decompress=False,
                    timeout=STREAM_TIMEOUT,
                    read_bufsize=STREAM_SIZE,
                    server_hostname=server_hostname,
                    middlewares=(self._once,),
                )
        if response.status in _STREAM_STATUSES:
            return response
        async with response:
            body = await _read_in_time(response, TOKEN_SIZE, what)
            raise refusal(response, body, what)

    async def listen(
        self,
        url: URL,
        *,
        token: str | None,
        params: Mapping[str, str],
    ) -> AsyncGenerator[Json]:
        """Open a WebSocket, and yield what it brings until it is closed.

        None is yielded once it is open; messages that can't be read are passed over.
        Raises a PlexError if it does not come about.
        """
        what = f"GET {url.path}"
        target, server_hostname = self._target(url)

        async def upgrade(
            req: ClientRequest, handler: ClientHandlerType
        ) -> ClientResponse:
            response = await self._once(req, handler)
            if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
                # Not to be redirected either, which would take the token along.
                response.close()
                raise refusal(response, b"", what)
            return response

        async with ClientSession(
            # The connections are the same; but only a session upgrades by a middleware.
            connector=self._session.connector,
            connector_owner=False,
            middlewares=(upgrade,),
        ) as session:
            with connecting(what):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    socket = await session.ws_connect(
                        target,
                        params=params,
                        headers={**self._headers, _TOKEN: token or ""},
                        server_hostname=server_hostname,
                        timeout=ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                        heartbeat=HEARTBEAT,
                        max_msg_size=MESSAGE_SIZE,
                    )
            async with socket:
                yield None
                async for message in socket:
                    if message.type is WSMsgType.TEXT:
                        with suppress(ValueError):
                            if (body := decode(message.data.encode())) is not None:
                                yield body
                    # A flood of them is no reason not to let others run.
                    await asyncio.sleep(0)

    def _target(self, url: URL) -> tuple[URL, str | None]:
        """Return where a request goes, and the name to certify if it is another."""
        if self._address is None:
            return url, None
        return url.with_host(self._address), url.host


def _may_pass(err: PlexError) -> bool:
    """Return if the same request may succeed a moment later."""
    return err.status is None or err.status in _PASSING_STATUSES


async def _send(
    send: Callable[[], AbstractAsyncContextManager[ClientResponse]],
    what: str,
    size: int,
    *,
    may_redirect: bool,
) -> Answer:
    """Send a request once."""
    with connecting(what):
        async with send() as response:
            location = None
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                if may_redirect and response.status < HTTPStatus.BAD_REQUEST:
                    location = response.headers.get(hdrs.LOCATION)
                if location is None:
                    body = await _read_body(response, TOKEN_SIZE)
                    raise refusal(response, body, what)
            body = await _read_body(response, size + 1)
    if len(body) > size:
        raise PlexResponseError(f"{what}: more than {size} bytes", status=200)
    return Answer(
        what=what,
        status=response.status,
        content_type=media_type(response),
        body=body,
        location=location,
    )


async def read_stream(response: ClientResponse, size: int) -> bytes:
    """Return the body of a streamed answer, of at most `size` bytes.

    Raises PlexResponseError if it is larger, PlexConnectionError if it breaks off or
    takes more than 15 seconds.
    """
    what = f"GET {response.url.path}"
    body = await _read_in_time(response, size + 1, what)
    if len(body) > size:
        raise PlexResponseError(f"{what}: more than {size} bytes", status=200)
    return body


async def _read_in_time(response: ClientResponse, size: int, what: str) -> bytes:
    """Read a body in as much time as a whole request may take."""
    with connecting(what):
        async with asyncio.timeout(TOTAL_TIMEOUT):
            return await _read_body(response, size)


async def _read_body(response: ClientResponse, size: int) -> bytes:
    """Read a body, or as much of it as is needed to see that it is too large."""
    body = bytearray()
    while len(body) < size and (chunk := await response.content.readany()):
        body += chunk
        if not response.content.at_eof():
            # There may be more already, and others want to go on meanwhile.
            await asyncio.sleep(0)
    return bytes(body[:size])
