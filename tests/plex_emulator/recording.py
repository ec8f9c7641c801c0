"""What was asked of the emulated hosts."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from aiohttp import web

from . import clock

FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came in."""

    host: str
    """The label of the host that got it, such as plex.tv or Attic."""
    port: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str]
    remote: str
    time: float

    def value(self, name: str) -> str:
        """Return an X-Plex value: a header, a query argument or a form field."""
        return (
            self.headers.get(name) or self.query.get(name) or self.form.get(name) or ""
        )

    def field(self, name: str) -> str:
        """Return an argument that Plex takes from the form or from the query."""
        return self.form.get(name) or self.query.get(name) or ""

    @property
    def token(self) -> str:
        """The token it was sent with, or an empty string."""
        return self.value("X-Plex-Token")

    @property
    def client_identifier(self) -> str:
        """The client identifier it was sent with, or an empty string."""
        return self.value("X-Plex-Client-Identifier")

    @property
    def wants_json(self) -> bool:
        """Whether it asked for JSON rather than XML."""
        return "application/json" in self.headers.get("Accept", "")


class RequestLog(list[Received]):
    """Every request the emulated hosts got, oldest first."""

    def matching(
        self, host: str = "*", path: str = "*", method: str = "*"
    ) -> list[Received]:
        """Return the requests whose host, path and method match these patterns."""
        return [
            request
            for request in self
            if fnmatchcase(request.host, host)
            and fnmatchcase(request.path, path)
            and fnmatchcase(request.method, method)
        ]


async def receive(host: str, port: int, request: web.BaseRequest) -> Received:
    """Read a request to its end."""
    body = await request.read() if request.body_exists else b""
    form: dict[str, str] = {}
    if body and request.content_type == FORM_TYPE:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Received(
        host=host,
        port=port,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        body=body,
        form=form,
        remote=request.remote or "",
        time=clock.now(),
    )
