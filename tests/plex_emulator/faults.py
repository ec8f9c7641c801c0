"""What can go wrong on the way, as a few things that combine."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase
import gzip
import socket
import struct
from typing import Literal, Protocol

from aiohttp import web

from .recording import Received
from .replies import JSON_TYPE, Answer, errors_answer, html_answer

MEGABYTE = 1024 * 1024
# Bytes that a file without end comes in.
PIECE = 64 * 1024


class Ending(Enum):
    """How an answer ends that is not sent whole."""

    RESET = "the connection is reset"
    CLOSE = "the connection is closed"
    SILENCE = "nothing more is sent"


type RealAnswer = Callable[[], Awaitable[Answer]]


class Fault(Protocol):
    """Something that happens to a request in place of its real answer."""

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Answer the request, or fail to."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer with something else; the request has no effect."""

    answer: Answer

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send the other answer."""
        return self.answer.response()


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer late: truly, unless there is something else to answer."""

    seconds: float
    answer: Answer | None = None

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Wait, then answer."""
        await asyncio.sleep(self.seconds)
        return (self.answer or await real()).response()


@dataclass(frozen=True, slots=True)
class Vanish:
    """Never send a byte; with `handled`, after doing what was asked."""

    ending: Ending = Ending.RESET
    handled: bool = False

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Let the client down."""
        if self.handled:
            await real()
        await _end(request, self.ending)
        return web.Response()


@dataclass(frozen=True, slots=True)
class Cut:
    """Send the head of the real answer and the given share of its body."""

    ending: Ending = Ending.RESET
    share: float = 0.5

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Begin to answer."""
        answer = await real()
        response = await _start(request, answer, len(answer.body))
        await response.write(answer.body[: int(len(answer.body) * self.share)])
        await _end(request, self.ending)
        return response


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the real answer a byte at a time."""

    pause: float = 1.0

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Answer slowly."""
        answer = await real()
        response = await _start(request, answer, len(answer.body))
        for byte in answer.body:
            await response.write(bytes((byte,)))
            await asyncio.sleep(self.pause)
        return response


@dataclass(frozen=True, slots=True)
class Flood:
    """Stream a JSON string that is far longer than any real answer."""

    megabytes: int

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send it without ever holding it whole."""
        size = self.megabytes * MEGABYTE
        response = await _start(request, Answer(content_type=JSON_TYPE), size + 2)
        await response.write(b'"')
        for _ in range(self.megabytes):
            await response.write(b"x" * MEGABYTE)
        await response.write(b'"')
        return response


@dataclass(slots=True)
class Endless:
    """Send a file that never ends; `running` are those who take it."""

    running: int = 0
    sent: int = 0

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send until nobody takes it any more."""
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        self.running += 1
        try:
            while True:
                await response.write(bytes(PIECE))
                self.sent += PIECE
        finally:
            self.running -= 1


@dataclass(frozen=True, slots=True)
class Raw:
    """Send bytes that need not be HTTP, as some other program on that port would."""

    data: bytes
    ending: Ending = Ending.CLOSE

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send them, and no more."""
        if request.transport:
            request.transport.write(self.data)
        await _end(request, self.ending)
        return web.Response()


@dataclass(frozen=True, slots=True)
class Interim:
    """Say without end that there will be an answer."""

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Go on until the client has left."""
        while request.transport and not request.transport.is_closing():
            request.transport.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await asyncio.sleep(0.01)
        return web.Response()


def error(
    status: int,
    *,
    kind: Literal["json", "xml", "html"] = "json",
    code: int = 0,
    message: str = "Something went wrong",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Make an error of plex.tv's shape in JSON or XML, or an HTML page."""
    if kind == "html":
        answer = html_answer(status, message)
    else:
        problem = {"code": code, "message": message, "status": status}
        answer = errors_answer(problem, status, json=kind == "json")
    return Reply(replace(answer, headers=headers or {}))


def redirect(url: str, status: int = 302) -> Reply:
    """Send the client somewhere else."""
    return Reply(Answer(status, headers={"Location": url}))


def gzip_bomb(megabytes: int) -> Reply:
    """Make a small body that unpacks to a JSON string of many megabytes."""
    packed = gzip.compress(b'"' + b"x" * (megabytes * MEGABYTE) + b'"')
    headers = {"Content-Encoding": "gzip"}
    return Reply(Answer(200, packed, JSON_TYPE, headers))


@dataclass(eq=False)
class Rule:
    """Which requests a fault happens to, and how many of them still."""

    fault: Fault
    host: str
    path: str
    method: str
    port: int | None
    times: int | None
    hits: int = 0

    def takes(self, received: Received) -> bool:
        """Tell whether the fault happens to this request, and count it if so."""
        if (
            self.hits == self.times
            or self.port not in (None, received.port)
            or not fnmatchcase(received.host, self.host)
            or not fnmatchcase(received.path, self.path)
            or not fnmatchcase(received.method, self.method)
        ):
            return False
        self.hits += 1
        return True


class Faults:
    """The faults that are to happen, the newest rule first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rules: list[Rule] = []

    def add(
        self,
        fault: Fault,
        *,
        host: str = "*",
        path: str = "*",
        method: str = "*",
        port: int | None = None,
        times: int | None = None,
    ) -> Rule:
        """Let a fault happen, for ever or so many times; patterns choose where."""
        rule = Rule(fault, host, path, method, port, times)
        self._rules.insert(0, rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Let it not happen any more."""
        self._rules.remove(rule)

    def clear(self) -> None:
        """Remove all."""
        self._rules.clear()

    def take(self, received: Received) -> Fault | None:
        """Return the fault that happens to this request."""
        for rule in self._rules:
            if rule.takes(received):
                return rule.fault
        return None


async def _start(
    request: web.BaseRequest, answer: Answer, length: int
) -> web.StreamResponse:
    """Send the head of an answer that promises a body of this length."""
    response = web.StreamResponse(status=answer.status, headers=answer.all_headers())
    response.content_length = length
    await response.prepare(request)
    return response


async def _end(request: web.BaseRequest, ending: Ending) -> None:
    """Stop answering in one of the ways a connection can stop."""
    transport = request.transport
    if ending is Ending.SILENCE:
        await asyncio.get_running_loop().create_future()
    elif transport is None:
        return
    elif ending is Ending.CLOSE:
        transport.close()
    else:
        # Without this the kernel would end the connection in good order.
        at_once = struct.pack("ii", 1, 0)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        transport.abort()
