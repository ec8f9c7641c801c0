"""An emulated host: what it answers, and the loopback sockets it listens on."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import repeat
import socket
from ssl import SSLContext

from aiohttp import web

from .faults import Faults
from .recording import Received, RequestLog, receive
from .replies import Answer

CONTROL = "/_emulator/"
# The ports to take where none is wanted, or zeros if any will do.
ports: Iterator[int] = repeat(0)
# How long a request that is being answered may hold up the end.
PATIENCE = 0.001
# How many turns of the event loop it takes to accept a connection, and some more.
TURNS = 5


class Listener:
    """One address of a host. Its port is the same after a stop and a start."""

    def __init__(
        self,
        handler: Callable[[Listener, web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        ssl_context: SSLContext | None = None,
    ) -> None:
        """Reserve a port, on which connections are refused until the start."""
        self._handler = handler
        self._ssl_context = ssl_context
        self._runner: web.ServerRunner | None = None
        self._socket = reserve(address, port)
        self.address = address
        self.port: int = self._socket.getsockname()[1]
        self.latency = 0.0

    @property
    def scheme(self) -> str:
        """Either http or https."""
        return "https" if self._ssl_context else "http"

    @property
    def url(self) -> str:
        """The address as a URL without a slash at its end."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}"

    async def start(self) -> None:
        """Accept connections."""
        if self._runner:
            return

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if self._runner is not runner and request.transport:
                # Its handshake was under way at the stop, so it was not dropped then.
                request.transport.abort()
            return await self._handler(self, request)

        server = web.Server(handle, access_log=None, handler_cancellation=True)
        self._runner = runner = web.ServerRunner(server, shutdown_timeout=PATIENCE)
        await runner.setup()
        site = web.SockSite(runner, self._socket, ssl_context=self._ssl_context)
        await site.start()

    async def stop(self) -> None:
        """Drop every connection and refuse new ones."""
        if not self._runner:
            return
        # What has been accepted becomes a connection first, which then is dropped.
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        # Before it is free: else a connection that begins there could have the port.
        reserved = reserve(self.address, self.port, again=True)
        await self._runner.cleanup()
        self._runner = None
        self._socket = reserved

    async def close(self) -> None:
        """Stop for good and give the port back."""
        await self.stop()
        self._socket.close()


class Host(ABC):
    """A name on the emulated network with what all of them have."""

    xml_only = False

    def __init__(self, label: str, faults: Faults, requests: RequestLog) -> None:
        """Make a host that listens nowhere yet."""
        self.label = label
        self.listeners: list[Listener] = []
        self.latency = 0.0
        self.control: Callable[[Received], Awaitable[Answer]] | None = None
        self._faults = faults
        self._requests = requests

    @property
    def url(self) -> str:
        """The URL of the first listener."""
        return self.listeners[0].url

    def add_listener(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        ssl_context: SSLContext | None = None,
    ) -> Listener:
        """Give the host one more address, which still has to be started."""
        listener = Listener(
            self._handle, address=address, port=port, ssl_context=ssl_context
        )
        self.listeners.append(listener)
        return listener

    async def start(self) -> None:
        """Start every listener."""
        for listener in self.listeners:
            await listener.start()

    async def stop(self) -> None:
        """Stop every listener."""
        for listener in self.listeners:
            await listener.stop()

    async def close(self) -> None:
        """Give every port back."""
        for listener in self.listeners:
            await listener.close()

    @abstractmethod
    def answer(self, received: Received) -> Answer:
        """Do what was asked and answer it."""

    def json_wanted(self, received: Received) -> bool:
        """Tell whether to answer with JSON rather than XML."""
        return received.wants_json and not self.xml_only

    async def _handle(
        self, listener: Listener, request: web.BaseRequest
    ) -> web.StreamResponse:
        received = await receive(self.label, listener.port, request)
        if self.control and received.path.startswith(CONTROL):
            return (await self.control(received)).response()
        self._requests.append(received)
        if latency := self.latency + listener.latency:
            await asyncio.sleep(latency)
        if fault := self._faults.take(received):
            return await fault.happen(request, partial(self._real_answer, received))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.listen(request, received)
        return self.answer(received).response()

    async def listen(
        self, request: web.BaseRequest, received: Received
    ) -> web.StreamResponse:
        """Open a WebSocket, which most hosts do not know of."""
        return self.answer(received).response()

    async def _real_answer(self, received: Received) -> Answer:
        return self.answer(received)


def reserve(address: str, port: int = 0, *, again: bool = False) -> socket.socket:
    """Take a port without listening on it, so that connections to it are refused.

    A port that we have already can be taken `again`.
    """
    port = port or next(ports)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, again)
    try:
        reserved.bind((address, port))
    except OSError:
        reserved.close()
        raise
    # From now on it can be taken by who may, but not by anyone else.
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return reserved
