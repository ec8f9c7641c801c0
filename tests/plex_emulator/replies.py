"""Answers and how their data is written as JSON or as Plex's XML."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from aiohttp import web

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

JSON_TYPE = "application/json; charset=utf-8"
XML_TYPE = "application/xml; charset=utf-8"
HTML_TYPE = "text/html"
PMS_HEADERS = {"X-Plex-Protocol": "1.0", "Cache-Control": "no-cache"}
XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# Bytes that are sent in one go.
PIECE_SIZE = 256 * 1024

XML_TAGS = {
    **dict.fromkeys(("movie", "episode", "clip"), "Video"),
    "track": "Track",
    "photo": "Photo",
    "playlist": "Playlist",
}

type Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response that can still be looked at and tampered with."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """Return the headers, with the content type where there is one."""
        if not self.content_type:
            return dict(self.headers)
        return {"Content-Type": self.content_type, **self.headers}

    def response(self) -> web.Response:
        """Turn it into what aiohttp sends."""
        headers = self.all_headers()
        if len(self.body) <= PIECE_SIZE:
            return web.Response(status=self.status, body=self.body, headers=headers)
        # A file goes out as it is taken, rather than at once.
        headers["Content-Length"] = str(len(self.body))
        return web.Response(
            status=self.status, body=_pieces(self.body), headers=headers
        )


async def _pieces(body: bytes) -> AsyncGenerator[memoryview]:
    """Yield a body piece by piece."""
    for start in range(0, len(body), PIECE_SIZE):
        yield memoryview(body)[start : start + PIECE_SIZE]


def html_answer(status: int, title: str) -> Answer:
    """Answer with the kind of page that a media server shows for an error."""
    page = (
        f"<html><head><title>{title}</title></head>"
        f"<body><h1>{status} {title}</h1></body></html>"
    )
    return Answer(status, page.encode(), HTML_TYPE)


def json_answer(data: object, status: int = 200) -> Answer:
    """Answer with data as JSON."""
    return Answer(status, json.dumps(data, default=_json_moment).encode(), JSON_TYPE)


def tv_answer(root: str, data: Data | list[Data], status: int, *, json: bool) -> Answer:
    """Answer the way plex.tv does: XML wraps each list in an element of its own."""
    if json:
        return json_answer(data, status)
    element = (
        _wrapped(root, data) if isinstance(data, list) else _tv_element(root, data)
    )
    return Answer(status, (XML_DECLARATION + element).encode(), XML_TYPE)


def errors_answer(problem: Data, status: int, *, json: bool) -> Answer:
    """Answer with one error of plex.tv's."""
    if json:
        return json_answer({"errors": [problem]}, status)
    return tv_answer("errors", [problem], status, json=False)


def pms_answer(container: Data, *, json: bool, root: str = "MediaContainer") -> Answer:
    """Answer the way a media server does: XML repeats an element for each of a list."""
    if json:
        answer = json_answer({root: container})
        return replace(answer, content_type="application/json", headers=PMS_HEADERS)
    element = XML_DECLARATION + _pms_element(root, container)
    return Answer(200, element.encode(), "text/xml;charset=utf-8", PMS_HEADERS)


def plex_data(record: DataclassInstance) -> Data:
    """Turn a flat dataclass into data under Plex's names."""
    return {plex: getattr(record, name) for name, plex in _plex_names(type(record))}


@cache
def _plex_names(kind: type[DataclassInstance]) -> tuple[tuple[str, str], ...]:
    return tuple((item.name, _camel_case(item.name)) for item in fields(kind))


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _json_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _attribute(name: str, value: object) -> str:
    match value:
        case None:
            quoted = '""'
        case bool():
            quoted = '"1"' if value else '"0"'
        case datetime():
            # Unlike JSON, where plex.tv writes the same moment in ISO 8601.
            quoted = value.astimezone(UTC).strftime('"%Y-%m-%d %H:%M:%S UTC"')
        case _:
            quoted = quoteattr(str(value))
    return f" {name}={quoted}"


def _element(tag: str, attributes: list[str], children: list[str]) -> str:
    if not children:
        return f"<{tag}{''.join(attributes)}/>"
    return f"<{tag}{''.join(attributes)}>{''.join(children)}</{tag}>"


def _tv_element(tag: str, data: Data) -> str:
    attributes, children = [], []
    for name, value in data.items():
        if isinstance(value, dict):
            children.append(_tv_element(name, value))
        elif isinstance(value, list):
            children.append(_wrapped(name, value))
        else:
            attributes.append(_attribute(name, value))
    return _element(tag, attributes, children)


def _wrapped(tag: str, items: list[Data] | list[str]) -> str:
    """Write <features><feature id="pass"/></features> and the like."""
    singular = tag.removesuffix("s")
    children = [
        _tv_element(singular, item if isinstance(item, dict) else {"id": item})
        for item in items
    ]
    return _element(tag, [], children)


def _tag(name: str, item: Data) -> str:
    """Return how XML calls an item of a list: of a library by what it is."""
    return (
        XML_TAGS.get(item.get("type", ""), "Directory") if name == "Metadata" else name
    )


def _pms_element(tag: str, data: Data) -> str:
    attributes, children = [], []
    for name, value in data.items():
        if isinstance(value, dict):
            children.append(_pms_element(name, value))
        elif isinstance(value, list):
            children.extend(_pms_element(_tag(name, item), item) for item in value)
        else:
            attributes.append(_attribute(name, value))
    return _element(tag, attributes, children)
