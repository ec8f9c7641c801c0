"""The four operations, through our client and as bare requests, every answer verified.

The bare ones are the floor: nothing less would do the same with aiohttp.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import ClientSession
import orjson

from custom_components.plex_account.api import (
    ClientIdentity,
    PlexServerClient,
    PlexTvClient,
)

from .measuring import Target, verify

type Operation = Callable[[], Awaitable[None]]

OPERATIONS = (
    "sign_in",
    "get_user",
    "get_transient_token",
    "get_source_connection_information",
)


class Operations(Protocol):
    """Somebody who does them."""

    async def sign_in(self) -> None:
        """Sign in, and use the new token from then on."""

    async def get_user(self) -> None:
        """Get the account's details, once signed in."""

    async def get_transient_token(self) -> None:
        """Get a transient token."""

    async def get_source_connection_information(self) -> None:
        """Look a source up."""


def all_of(who: Operations, count: int = len(OPERATIONS)) -> list[Operation]:
    """Return the first operations of somebody, in order."""
    operations: list[Operation] = [
        who.sign_in,
        who.get_user,
        who.get_transient_token,
        who.get_source_connection_information,
    ]
    return operations[:count]


def identity(client_identifier: str) -> ClientIdentity:
    """Return how a client presents itself.

    Each needs an identifier of its own, as a sign-in ends the one before.
    """
    return ClientIdentity(
        client_identifier=client_identifier,
        product="Plex Account for Home Assistant",
        version="1.0.0",
        platform="Home Assistant",
        platform_version="2026.11.0",
        device="Home Assistant",
        device_name="Home",
    )


class Ours:
    """Our client."""

    def __init__(self, session: ClientSession, target: Target) -> None:
        """Make the clients."""
        self._target = target
        who = identity("ours")
        self._new = PlexTvClient(session, who, server_url=target.url)
        self._tv = PlexTvClient(session, who, server_url=target.url)
        self._server = PlexServerClient(
            session, who, base_url=target.server_url, token=target.server_token
        )

    async def sign_in(self) -> None:
        """Sign in, and use the new token from then on."""
        target = self._target
        self._new.token = None
        user = await self._new.sign_in(target.username, target.password)
        verify(right=user.uuid == target.uuid and bool(user.auth_token))
        self._tv.token = user.auth_token

    async def get_user(self) -> None:
        """Get the account's details, once signed in."""
        user = await self._tv.get_user()
        verify(
            right=user.uuid == self._target.uuid and user.subscription.active is True
        )

    async def get_transient_token(self) -> None:
        """Get a transient token."""
        token = await self._server.get_transient_token()
        verify(right=token.token.startswith("transient-"))

    async def get_source_connection_information(self) -> None:
        """Look a source up."""
        target = self._target
        found = await self._server.get_source_connection_information(target.source)
        verify(
            right=found.client_identifier == target.machine_identifier
            and bool(found.access_token)
            and len(found.connections) == target.connections
        )


class Floor:
    """Bare requests that carry the same and verify the same."""

    def __init__(self, session: ClientSession, target: Target) -> None:
        """Prepare what every request needs."""
        self._session = session
        self._target = target
        self._headers = identity("floor").headers
        self._tv_headers = dict(self._headers)
        self._server_headers = {
            **self._headers,
            "X-Plex-Token": target.server_token,
        }

    async def sign_in(self) -> None:
        """Sign in, and use the new token from then on."""
        target = self._target
        async with self._session.post(
            f"{target.url}/api/v2/users/signin",
            data={
                "login": target.username,
                "password": target.password,
                "rememberMe": "true",
            },
            headers=self._headers,
        ) as response:
            user = orjson.loads(await response.read())
        verify(
            right=response.status == 201
            and user["uuid"] == target.uuid
            and bool(user["authToken"])
        )
        self._tv_headers["X-Plex-Token"] = user["authToken"]

    async def get_user(self) -> None:
        """Get the account's details, once signed in."""
        user = await self._get(f"{self._target.url}/api/v2/user", self._tv_headers)
        verify(
            right=user["uuid"] == self._target.uuid
            and user["subscription"]["active"] is True
        )

    async def get_transient_token(self) -> None:
        """Get a transient token."""
        body = await self._get(
            f"{self._target.server_url}/security/token",
            self._server_headers,
            {"type": "delegation", "scope": "all"},
        )
        verify(right=body["MediaContainer"]["token"].startswith("transient-"))

    async def get_source_connection_information(self) -> None:
        """Look a source up."""
        target = self._target
        body = await self._get(
            f"{target.server_url}/security/resources",
            self._server_headers,
            {"source": target.source},
        )
        device = body["MediaContainer"]["Device"]
        verify(
            right=device["clientIdentifier"] == target.machine_identifier
            and bool(device["accessToken"])
            and len(device["Connection"]) == target.connections
        )

    async def _get(
        self, url: str, headers: dict[str, str], params: dict[str, str] | None = None
    ) -> Any:
        """Get and decode."""
        async with self._session.get(url, params=params, headers=headers) as response:
            body = orjson.loads(await response.read())
        verify(right=response.status == 200)
        return body
