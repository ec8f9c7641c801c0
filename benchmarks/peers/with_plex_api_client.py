"""plex-api-client, with and without asyncio.

Run by the peers' Python: python -m benchmarks.peers.with_plex_api_client TARGET
"""

import asyncio
from importlib import import_module
import json
import sys
from typing import Any

from benchmarks.measuring import (
    Target,
    call_rate,
    call_rate_async,
    time_rows,
    time_rows_async,
    verify,
)
from benchmarks.serving import serve_async

# Not there for those who check our types.
PlexAPI: Any = import_module("plex_api_client").PlexAPI

IDENTITY = {
    "product": "Plex Account for Home Assistant",
    "version": "1.0.0",
    "platform": "Home Assistant",
    "platform_version": "2026.11.0",
    "device": "Home Assistant",
    "device_name": "Home",
}
TRANSIENT_TOKEN = {"media_type": "delegation", "scope": "all"}


class _Peer:
    """What both ways to call it have in common."""

    def __init__(self, target: Target, client_identifier: str) -> None:
        self.target = target
        self.api = f"{target.url}/api/v2"
        identity = {"client_identifier": client_identifier, **IDENTITY}
        # It asks for the token whenever it sends a request.
        self.account = PlexAPI(token=lambda: self.token, **identity)
        self.server = PlexAPI(
            token=target.server_token, server_url=target.server_url, **identity
        )
        self.token: str | None = None
        self.form = {
            "request_body": {
                "login": target.username,
                "password": target.password,
                "remember_me": True,
            }
        }

    def take_sign_in(self, response: Any) -> None:
        """Verify the answer to a sign-in, and use its token."""
        user = response.user_plex_account
        verify(right=user.uuid == self.target.uuid and bool(user.auth_token))
        self.token = user.auth_token

    def take_user(self, response: Any) -> None:
        """Verify the details of the account."""
        user = response.user_plex_account
        verify(right=user.uuid == self.target.uuid and user.subscription.active is True)

    def take_transient_token(self, response: Any) -> None:
        """Verify a transient token."""
        token = response.object.media_container.token
        verify(right=token.startswith("transient-"))

    def take_source(self, response: Any) -> None:
        """Verify where a source is."""
        device = response.object.media_container.device
        verify(
            right=device.client_identifier == self.target.machine_identifier
            and bool(device.access_token)
            and len(device.connection) == self.target.connections
        )


class _Blocking(_Peer):
    """Calls that block."""

    def sign_in(self) -> None:
        """Sign in."""
        self.take_sign_in(
            self.account.authentication.post_users_sign_in_data(
                request=self.form, server_url=self.api
            )
        )

    def get_user(self) -> None:
        """Get the account's details."""
        self.take_user(
            self.account.authentication.get_token_details(
                request={}, server_url=self.api
            )
        )

    def get_transient_token(self) -> None:
        """Get a transient token."""
        self.take_transient_token(
            self.server.general.create_transient_token(request=TRANSIENT_TOKEN)
        )

    def get_source(self) -> None:
        """Look a source up."""
        self.take_source(
            self.server.general.get_source_connection_information(
                request={"source": self.target.source}
            )
        )


class _Asyncio(_Peer):
    """Calls that do not block."""

    async def sign_in(self) -> None:
        """Sign in."""
        self.take_sign_in(
            await self.account.authentication.post_users_sign_in_data_async(
                request=self.form, server_url=self.api
            )
        )

    async def get_user(self) -> None:
        """Get the account's details."""
        self.take_user(
            await self.account.authentication.get_token_details_async(
                request={}, server_url=self.api
            )
        )

    async def get_transient_token(self) -> None:
        """Get a transient token."""
        self.take_transient_token(
            await self.server.general.create_transient_token_async(
                request=TRANSIENT_TOKEN
            )
        )

    async def get_source(self) -> None:
        """Look a source up."""
        self.take_source(
            await self.server.general.get_source_connection_information_async(
                request={"source": self.target.source}
            )
        )


async def _main() -> None:
    target = Target(**json.loads(sys.argv[1]))
    one = _Blocking(target, "plex-api-client")
    other = _Asyncio(target, "plex-api-client-async")

    async def rows(count: int) -> list[float]:
        return time_rows(
            (one.sign_in, one.get_user, one.get_transient_token, one.get_source), count
        )

    async def rows_async(count: int) -> list[float]:
        return await time_rows_async(
            (
                other.sign_in,
                other.get_user,
                other.get_transient_token,
                other.get_source,
            ),
            count,
        )

    async def rate(concurrency: int, duration: float) -> list[float]:
        return call_rate(one.get_source, concurrency, duration)

    async def rate_async(concurrency: int, duration: float) -> list[float]:
        return await call_rate_async(other.get_source, concurrency, duration)

    await serve_async(
        {
            "time_rows": rows,
            "time_rows_async": rows_async,
            "call_rate": rate,
            "call_rate_async": rate_async,
        }
    )


if __name__ == "__main__":
    asyncio.run(_main())
