"""What a media server tells unasked: its WebSocket for notifications."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from .problems import RefusedError
from .recording import Received
from .replies import Data, html_answer

PUSH_PATHS = ("/:/websockets/notifications", "/:/websocket/notifications")


@dataclass(eq=False, frozen=True, slots=True)
class Socket:
    """Somebody who listens."""

    received: Received
    response: web.WebSocketResponse

    def wants(self, kind: str) -> bool:
        """Tell whether its filters let this kind of message through."""
        filters = self.received.field("filters")
        return not filters or kind in filters.split(",")


class Push:
    """All who listen to a server."""

    def __init__(self) -> None:
        """Begin without anybody."""
        self.sockets: list[Socket] = []
        self.honours_filters = True
        self.answers_pings = True

    async def accept(
        self,
        request: web.BaseRequest,
        received: Received,
        authenticate: Callable[[Received], object],
    ) -> web.StreamResponse:
        """Let somebody listen until one of both hangs up."""
        try:
            authenticate(received)
        except RefusedError as refused:
            problem = refused.problem
            return html_answer(problem.status, problem.message).response()
        response = web.WebSocketResponse(autoping=self.answers_pings)
        await response.prepare(request)
        socket = Socket(received, response)
        self.sockets.append(socket)
        try:
            while (await response.receive()).type in {WSMsgType.PING, WSMsgType.TEXT}:
                pass
        finally:
            self.sockets.remove(socket)
        return response

    async def send(self, kind: str, **content: list[Data] | bool) -> None:
        """Tell all who want to know."""
        container = {"type": kind, "size": 1, **content}
        for socket in list(self.sockets):
            if socket.wants(kind) or not self.honours_filters:
                await socket.response.send_json({"NotificationContainer": container})

    async def hang_up(self) -> None:
        """Close every socket as a server does that ends in good order."""
        for socket in list(self.sockets):
            await socket.response.close()
