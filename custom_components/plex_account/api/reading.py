"""How answers are decoded, and how values are read from them: typed and bounded.

Whoever answers may send anything, so nothing here trusts a length, a depth or a type.
"""

from datetime import UTC, datetime
from functools import lru_cache
import re
from typing import Final
from xml.etree import ElementTree as ET

import orjson
from yarl import URL

from .exceptions import PlexResponseError

type Json = dict[str, Json] | list[Json] | str | int | float | bool | None

# More values than 1,000 servers with ten connections each have, and no more than can
# be decoded before anybody notices.
MAX_VALUES: Final = 250_000
MAX_XML_DEPTH: Final = 32
# Bytes: of an element with all its attributes, and after which others may run.
MAX_XML_ELEMENT: Final = 64 * 1024
XML_PIECE: Final = 16 * 1024

# Characters.
MAX_NAME: Final = 255
MAX_SECRET: Final = 2048
MAX_URL: Final = 2048
MAX_VERSION: Final = 64
# More than any number of Plex's has, and less than Python refuses to read.
MAX_DIGITS: Final = 20

# What breaks a line, or turns the reading direction of all that follows.
_NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_IDENTIFIER = re.compile(r"[\w.~-]{1,128}", re.ASCII)
# Checked before yarl sees it, which does not expect the worst.
_URL = re.compile(
    r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:\d+)?([/?#][!-~]*)?", re.IGNORECASE
)


def decode(body: bytes) -> Json:
    """Decode JSON or XML, whichever it is: Plex answers XML where it pleases.

    Returns None for an empty body. Raises ValueError for anything else, and for more
    values than Plex sends.
    """
    if not body:
        return None
    is_xml = body.lstrip().startswith(b"<")
    # Each value has one of these before it, so it need not be decoded to count them. An
    # element of XML has two, as it becomes an object and a list.
    separators = (b"<", b">", b"=") if is_xml else (b",", b":", b"[")
    if sum(map(body.count, separators)) > MAX_VALUES:
        raise ValueError("Too many values")
    if is_xml:
        return _decode_xml(body)
    decoded: Json = orjson.loads(body)
    return decoded


def _decode_xml(body: bytes) -> Json:
    """Decode XML to attributes by name, and lists of child elements by tag."""
    # Plex sends no document type, and its entities can be bombs. Nor does it send
    # UTF-16, in which this would not find one.
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise ValueError("XML with a document type")
    if max(map(len, body.split(b"<"))) > MAX_XML_ELEMENT:
        raise ValueError("XML with an element that is too long")
    target = _XmlTarget()
    try:
        parser = ET.XMLParser(target=target)
        for start in range(0, len(body), XML_PIECE):
            parser.feed(body[start : start + XML_PIECE])
        parser.close()
    except (ET.ParseError, LookupError) as err:  # the latter for an encoding
        raise ValueError(str(err)) from err
    return target.document


class _XmlTarget:
    """Builds what JSON would have been from the elements of a document."""

    def __init__(self) -> None:
        """Begin outside of the root."""
        self.document: dict[str, Json] = {}
        self._open: list[dict[str, Json]] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take over an element."""
        element: dict[str, Json] = {**attributes}
        if not self._open:
            if tag == "html":
                raise ValueError("A web page")
            self.document[tag] = element
        elif len(self._open) == MAX_XML_DEPTH:
            raise ValueError("XML nested too deep")
        else:
            siblings = self._open[-1].get(tag)
            if isinstance(siblings, list):
                siblings.append(element)
            else:
                self._open[-1][tag] = [element]
        self._open.append(element)

    def end(self, tag: str) -> None:
        """Leave an element."""
        self._open.pop()


def one_line(value: str, limit: int = MAX_NAME) -> str:
    """Return a text of one line, of at most `limit` characters."""
    value = value[:limit]
    return (value if value.isprintable() else _NOT_PLAIN.sub(" ", value)).strip()


@lru_cache(maxsize=1024)
def parse_url(value: str) -> URL | None:
    """Return a web address with a host, None for what is none."""
    if len(value) > MAX_URL or not _URL.fullmatch(value):
        return None
    try:
        url = URL(value)
        # What is wrong with a host or a port only shows when they are asked for.
        usable = url.host and url.port
    except ValueError:
        return None
    return url if usable else None


def root(body: Json, tag: str, *, bare: bool = False) -> dict[str, Json]:
    """Return the object that an answer is about; plex.tv's JSON has it bare."""
    if isinstance(body, dict):
        data = body.get(tag, body if bare else None)
        if isinstance(data, dict):
            return data
    raise PlexResponseError(f"No {tag} in the answer")


def required[T](value: T | None, what: str) -> T:
    """Return a value that we cannot do without."""
    if value is None:
        raise PlexResponseError(f"No {what} in the answer")
    return value


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list, or a single object as such a list."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def children(data: dict[str, Json], key: str, tag: str) -> list[dict[str, Json]]:
    """Return a list of objects; XML wraps its elements in one that names the list."""
    return [
        child
        for item in objects(data.get(key))
        for child in (objects(item[tag]) if tag in item else [item])
        if child
    ]


def texts(data: dict[str, Json], key: str, tag: str) -> list[str]:
    """Return a list of texts, which in XML are the ids of elements.

    One text with commas in it is such a list, too.
    """
    value = data.get(key)
    if isinstance(value, str):
        value = [*value.split(",")]
    if isinstance(value, list) and any(isinstance(item, str) for item in value):
        return [
            line for item in value if isinstance(item, str) and (line := one_line(item))
        ]
    return [name for child in children(data, key, tag) if (name := text(child, "id"))]


def text(data: dict[str, Json], key: str, limit: int = MAX_NAME) -> str | None:
    """Return a text of one line, None for the empty one, which is XML's null."""
    value = data.get(key)
    return one_line(value, limit) or None if isinstance(value, str) else None


def identifier(data: dict[str, Json], key: str) -> str | None:
    """Return what may stand in a path or a file's name, None for anything else."""
    value = data.get(key)
    if isinstance(value, str) and _IDENTIFIER.fullmatch(value):
        return value
    return None


def secret(data: dict[str, Json], key: str) -> str | None:
    """Return a token, None for what could not be sent in a header."""
    value = data.get(key)
    if isinstance(value, str) and 0 < len(value) <= MAX_SECRET:
        return value if value.isascii() and value.isprintable() else None
    return None


def plex_tv_token(data: dict[str, Json], key: str) -> str | None:
    """Return a token of plex.tv, None for a JWT, which its servers do not take."""
    token = secret(data, key)
    return None if token and token.startswith("eyJ") else token


def web_address(data: dict[str, Json], key: str) -> URL | None:
    """Return a web address."""
    value = data.get(key)
    return parse_url(value) if isinstance(value, str) else None


def integer(data: dict[str, Json], key: str) -> int | None:
    """Return a whole number."""
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal() and len(value) < MAX_DIGITS:
        return int(value)
    return None


def flag(data: dict[str, Json], key: str) -> bool | None:
    """Return a boolean, which in XML is "1" or "0"."""
    match data.get(key):
        # True and False are 1 and 0, too.
        case 1 | "1" | "true":
            return True
        case 0 | "0" | "false":
            return False
    return None


def time(data: dict[str, Json], key: str) -> datetime | None:
    """Return a time, which Plex writes in seconds or in one of two texts."""
    if data.get(key) is None:
        return None
    try:
        if (seconds := integer(data, key)) is not None:
            return datetime.fromtimestamp(seconds, UTC)
        written = (text(data, key) or "").removesuffix(" UTC")
        when = datetime.fromisoformat(written)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except ValueError, OverflowError, OSError:
        return None
