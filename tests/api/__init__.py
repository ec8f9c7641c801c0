"""Tests of the client of Plex's HTTP API."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import ClientSession
import pytest
from yarl import URL

from custom_components.plex_account.api import ClientIdentity
from custom_components.plex_account.api.http import LIST_SIZE, PlexSession
from custom_components.plex_account.api.reading import Json
from tests.plex_emulator import Answer, PlexEmulator, Reply

both_formats = pytest.mark.usefixtures("formats")
TOKEN = "tv-token-of-this-test"
PATH = "/api/v2/user"

type Fetch = Callable[[], Awaitable[Json]]


async def request(
    session: ClientSession,
    identity: ClientIdentity,
    method: str,
    url: URL,
    *,
    size: int = LIST_SIZE,
    **options: Any,
) -> Json:
    """Send a request and return the decoded body."""
    plex_session = PlexSession(session, identity)
    answer = await plex_session.request(method, url, size=size, **options)
    return await answer.read(lambda body: body)


def answer(
    plex: PlexEmulator,
    body: bytes,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> None:
    """Let everything be answered in this way."""
    plex.faults.add(Reply(Answer(status, body, content_type, headers or {})))
