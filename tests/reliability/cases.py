"""The faults of the table, and what each of them does to a request."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
import gzip
from itertools import cycle
import json
import ssl
from typing import Any, Literal

from aiohttp import web

from tests.plex_emulator import (
    Answer,
    CertificateAuthority,
    Cut,
    Drip,
    Ending,
    Fault,
    Flood,
    Host,
    Interim,
    Reply,
    Vanish,
    error,
    gzip_bomb,
    redirect,
)
from tests.plex_emulator.faults import RealAnswer
from tests.plex_emulator.replies import JSON_TYPE, XML_TYPE, html_answer

from .effects import Effect
from .places import Place
from .world import World, name_of

ELSEWHERE = "/elsewhere"
DEPTH = 10_000
ODD_NAME = "\u202eAda 👩‍💻 \"L.\" <script>alert('1')</script> عربي \\ {x} %s\u202c"
LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10 if level else b"ha")
    for level in range(10)
)
# Without these an answer is of no use; all other fields are optional.
REQUIRED = {
    "accessToken",
    "authToken",
    "clientIdentifier",
    "code",
    "connections",
    "id",
    "machineIdentifier",
    "owned",
    "pong",
    "provides",
    "token",
    "uri",
    "uuid",
    "Connection",
    "Device",
    "MediaContainer",
}
HOSTILE_TEXTS = (
    "https://][@",
    "9" * 4400,
    "fe80::1%\n",
    "Home\r\nX-Plex-Token: stolen",
    "![x](https://evil.example/x.png) [y](https://evil.example)",
    "\u2028\u202e\x1b[31m",
)
# What is no text that others choose, or decides whether an answer can be used.
CHOSEN_BY_PLEX = REQUIRED | {"address", "qr", "thumb"}
NAMES = {"email", "friendlyName", "name", "sourceTitle", "title", "username"}

type Strike = Callable[[World, Place], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Case:
    """A fault: what it is called, what it does to a request, and how to make it."""

    name: str
    effect: Effect
    strike: Strike
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Tamper:
    """Change the real answer on its way."""

    change: Callable[[Answer], Answer]

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send what the answer has become."""
        return self.change(await real()).response()


@dataclass(frozen=True, slots=True)
class WithBody:
    """Let there be a body that something can happen to."""

    fault: Fault

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Let it happen."""

        async def answer() -> Answer:
            answer = await real()
            return answer if answer.body else stand_in()

        return await self.fault.happen(request, answer)


def stand_in() -> Answer:
    """Answer with JSON where there is none in truth."""
    return Answer(200, b'{"id": 1, "title": "Ada", "pong": true}', JSON_TYPE)


def reshaped(change: Callable[[Any], Any]) -> Fault:
    """Change the data of the answer."""

    def tamper(answer: Answer) -> Answer:
        if not answer.content_type.startswith("application/json"):
            answer = stand_in()
        data = change(json.loads(answer.body))
        return replace(answer, body=json.dumps(data).encode())

    return Tamper(tamper)


def at_request(fault: Callable[[World], Fault]) -> Strike:
    """Let a fault happen to each request at the place."""

    @asynccontextmanager
    async def strike(world: World, place: Place) -> AsyncGenerator[None]:
        faults = world.plex.faults
        rule = faults.add(fault(world), host=place.host.label, path=place.path)
        yield
        faults.remove(rule)
        assert rule.hits, "The fault has not happened"

    return strike


@asynccontextmanager
async def refused(world: World, place: Place) -> AsyncGenerator[None]:
    """Let the host be down."""
    await place.host.stop()
    yield
    await place.host.start()


@asynccontextmanager
async def unresolved(world: World, place: Place) -> AsyncGenerator[None]:
    """Let the host have no address."""
    known = world.resolver.patterns[:]
    world.resolver.patterns.remove(name_of(place.host))
    # Connections that are there already need no name, nor do names that are known.
    await place.host.stop()
    await place.host.start()
    world.connector.clear_dns_cache()
    yield
    world.resolver.patterns[:] = known


@asynccontextmanager
async def xml_only(world: World, place: Place) -> AsyncGenerator[None]:
    """Let the host answer XML, whatever it is asked for."""
    place.host.xml_only = True
    yield
    place.host.xml_only = False


def with_certificate(
    make: Callable[[CertificateAuthority, str], ssl.SSLContext],
) -> Strike:
    """Let the host have another certificate."""

    async def swap(host: Host, context: ssl.SSLContext) -> None:
        old = host.listeners.pop()
        await old.close()
        await host.add_listener(port=old.port, ssl_context=context).start()

    @asynccontextmanager
    async def strike(world: World, place: Place) -> AsyncGenerator[None]:
        host = place.host
        await swap(host, make(world.authority, name_of(host)))
        yield
        await swap(host, world.authority.server_context(name_of(host)))

    return strike


def case(name: str, effect: Effect, fault: Fault) -> Case:
    """Make a case of a fault of the emulator."""
    return Case(name, effect, at_request(lambda _: fault))


def limited(name: str, retry_after: str | None) -> Case:
    """Make the case of being asked to wait."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    fault = error(429, code=1003, headers=headers)
    return case(f"429 {name}", Effect.RATE_LIMIT, fault)


def limited_until() -> Case:
    """Make the case of being asked to wait until a certain time."""

    def fault(world: World) -> Fault:
        soon = datetime.now(UTC) + timedelta(seconds=2)
        header = format_datetime(soon, usegmt=True)
        return error(429, code=1003, headers={"Retry-After": header})

    return Case("429 Retry-After date", Effect.RATE_LIMIT, at_request(fault))


STATUSES: dict[int, Effect] = {
    400: Effect.BAD_REQUEST,
    401: Effect.AUTHENTICATION,
    403: Effect.PERMISSION,
    404: Effect.NOT_FOUND,
    422: Effect.NONSENSE,
    498: Effect.AUTHENTICATION,
    **dict.fromkeys((500, 502, 503, 504), Effect.SERVER),
}
KINDS: tuple[Literal["json", "xml", "html"], ...] = ("json", "xml", "html")


def status_cases() -> list[Case]:
    """Make the cases of a refusal, in each of the ways it is written."""
    return [
        case(f"{status} {kind.upper()}", effect, error(status, kind=kind))
        for status, effect in STATUSES.items()
        for kind in KINDS
    ]


def answered(name: str, effect: Effect, body: bytes, content_type: str) -> Case:
    """Make the case of a body with a status of success."""
    return case(name, effect, Reply(Answer(200, body, content_type)))


def reshaped_case(name: str, effect: Effect, change: Callable[[Any], Any]) -> Case:
    """Make the case of other data than there should be."""
    return case(name, effect, reshaped(change))


def cut_in_half(answer: Answer) -> Answer:
    """Leave half of the JSON, which the length agrees with."""
    if not answer.content_type.startswith("application/json"):
        answer = stand_in()
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def retyped(answer: Answer) -> Answer:
    """Say that it is text."""
    return replace(answer, content_type="text/plain")


def recoded(answer: Answer) -> Answer:
    """Say that it is in a charset that does not exist."""
    kind = answer.content_type.partition(";")[0]
    return replace(answer, content_type=kind and f"{kind}; charset=no-such-charset")


def list_for_object(data: Any) -> Any:
    """Put an object into a list, and a list into an object."""
    return {"items": data} if isinstance(data, list) else [data]


def each_value(data: Any, change: Callable[[Any], Any]) -> Any:
    """Change each value that is neither an object nor a list."""
    match data:
        case dict():
            return {name: each_value(value, change) for name, value in data.items()}
        case list():
            return [each_value(value, change) for value in data]
    return change(data)


def numbers_for_texts(data: Any) -> Any:
    """Put a number where there is a text."""
    return each_value(data, lambda value: 7 if isinstance(value, str) else value)


def all_null(data: Any) -> Any:
    """Leave nothing but the names of the fields."""
    return each_value(data, lambda _: None)


def each_object(data: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Change each object, the inner ones first."""
    match data:
        case dict():
            return change(
                {name: each_object(value, change) for name, value in data.items()}
            )
        case list():
            return [each_object(value, change) for value in data]
    return data


def with_unknown_fields(data: Any) -> Any:
    """Add what nobody knows."""
    news: dict[str, Any] = {
        "neu": None,
        "": "",
        "__class__": {},
        "numbers": [1, 2.5, {}],
        "é": True,
    }
    return each_object(data, lambda item: news | item)


def only_required(data: Any) -> Any:
    """Leave out each field that may be missing."""
    return each_object(
        data, lambda item: {name: item[name] for name in item if name in REQUIRED}
    )


def oddly_named(data: Any) -> Any:
    """Call everything by an odd name."""
    odd = dict.fromkeys(NAMES, ODD_NAME)
    return each_object(
        data, lambda item: {name: odd.get(name, item[name]) for name in item}
    )


def hostile(data: Any) -> Any:
    """Let each text that others choose be one that is meant to harm."""
    texts = cycle(HOSTILE_TEXTS)
    return each_object(
        data,
        lambda item: {
            name: next(texts)
            if isinstance(value, str) and name not in CHOSEN_BY_PLEX
            else value
            for name, value in item.items()
        },
    )


def with_hostile_servers(data: Any) -> Any:
    """List servers that can't be told from others, or not at all."""
    if not isinstance(data, list) or not data:
        return data
    odd = [{"uri": "https://][@", "address": "fe80::1%"}]
    twin = data[0] | {"owned": False, "name": "Twin", "connections": odd}
    return [
        twin | {"clientIdentifier": "../.."},
        *data,
        twin,
        twin | {"clientIdentifier": "odd"},
    ]


def with_cookie(answer: Answer) -> Answer:
    """Ask to be remembered."""
    cookie = {"Set-Cookie": "evil=1; Domain=localhost; Path=/"}
    return replace(answer, headers={**answer.headers, **cookie})


@cache
def bomb() -> Fault:
    """Make the bomb when it is needed, and only once."""
    return gzip_bomb(100)


ELEMENTS = Reply(
    Answer(
        200,
        gzip.compress(b"<a>" + b"<b/>" * 300_000 + b"</a>"),
        XML_TYPE,
        {"Content-Encoding": "gzip"},
    )
)
CASES: tuple[Case, ...] = (
    Case("connection refused", Effect.REFUSED, refused),
    Case("no such name", Effect.REFUSED, unresolved),
    case("reset before the answer", Effect.BROKEN, Vanish()),
    case("closed before the answer", Effect.BROKEN, Vanish(Ending.CLOSE)),
    case("reset within the body", Effect.BROKEN, WithBody(Cut())),
    case("closed within the body", Effect.BROKEN, WithBody(Cut(Ending.CLOSE))),
    case("never answers", Effect.TIMEOUT, Vanish(Ending.SILENCE)),
    case("headers, then silence", Effect.TIMEOUT, WithBody(Cut(Ending.SILENCE, 0))),
    case("one byte a second", Effect.TIMEOUT, WithBody(Drip())),
    limited("without Retry-After", None),
    limited("Retry-After 1", "1"),
    limited_until(),
    limited("Retry-After -1", "-1"),
    limited("Retry-After 1e12", "1e12"),
    limited("Retry-After 10^12", "1000000000000"),
    limited("Retry-After text", "soon"),
    *status_cases(),
    case(
        "page of a portal", Effect.NONSENSE, Reply(html_answer(200, "Welcome to wifi"))
    ),
    answered("empty", Effect.OTHER_SHAPE, b"", JSON_TYPE),
    case("truncated JSON", Effect.NONSENSE, Tamper(cut_in_half)),
    reshaped_case("list for object", Effect.OTHER_SHAPE, list_for_object),
    answered("null", Effect.OTHER_SHAPE, b"null", JSON_TYPE),
    reshaped_case("numbers for texts", Effect.OTHER_SHAPE, numbers_for_texts),
    answered(
        "nested 10,000 deep", Effect.NONSENSE, b"[" * DEPTH + b"]" * DEPTH, JSON_TYPE
    ),
    Case("XML", Effect.NONE, xml_only),
    answered(
        "XML, billion laughs",
        Effect.NONSENSE,
        b"<!DOCTYPE a [" + LAUGHS + b"]><a>&l9;</a>",
        XML_TYPE,
    ),
    answered(
        "XML, external entity",
        Effect.NONSENSE,
        b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hosts">]><a b="&f;">&f;</a>',
        XML_TYPE,
    ),
    case("wrong content type", Effect.OTHER_TYPE, Tamper(retyped)),
    case("wrong charset", Effect.NONE, Tamper(recoded)),
    Case("gzip bomb", Effect.NONSENSE, at_request(lambda _: bomb())),
    case("100 MB", Effect.NONSENSE, Flood(100)),
    reshaped_case("unknown fields", Effect.OTHER_FIELDS, with_unknown_fields),
    reshaped_case("no optional field", Effect.OTHER_FIELDS, only_required),
    reshaped_case("all fields null", Effect.OTHER_SHAPE, all_null),
    reshaped_case("odd names", Effect.OTHER_FIELDS, oddly_named),
    reshaped_case("hostile texts", Effect.OTHER_FIELDS, hostile),
    reshaped_case("hostile servers", Effect.OTHER_FIELDS, with_hostile_servers),
    case("cookies", Effect.NONE, Tamper(with_cookie)),
    case("102 without end", Effect.BROKEN, Interim()),
    case("elements in a few bytes", Effect.NONSENSE, ELEMENTS),
    Case(
        "redirect elsewhere",
        Effect.NONSENSE,
        at_request(lambda world: redirect(world.attic.url + ELSEWHERE)),
    ),
    Case(
        "certificate expired",
        Effect.REFUSED,
        with_certificate(lambda authority, name: authority.expired_context(name)),
        secure=True,
    ),
    Case(
        "certificate self-signed",
        Effect.REFUSED,
        with_certificate(lambda _, name: CertificateAuthority().server_context(name)),
        secure=True,
    ),
    Case(
        "certificate of another",
        Effect.REFUSED,
        with_certificate(lambda authority, _: authority.server_context("x.test")),
        secure=True,
    ),
)
