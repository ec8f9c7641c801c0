"""Ways to sign in to a Plex account, through Home Assistant's own flow API."""

import asyncio
from typing import Any

from .emulator_process import EmulatorClient
from .hass_client import Data, HassClient
from .hass_process import DOMAIN

FLOWS = "config/config_entries/flow"
# Seconds. The integration first looks after two, then less often.
LINK_TIMEOUT = 20


class Flow:
    """A dialog of the integration."""

    def __init__(self, home: HassClient, result: Data) -> None:
        """Go on from what the dialog shows."""
        self._home = home
        self._path = f"{FLOWS}/{result['flow_id']}"
        self.flow_id: str = result["flow_id"]
        self.result = result

    @classmethod
    async def start(cls, home: HassClient) -> Flow:
        """Open the dialog that adds an account."""
        return cls(home, await home.rest("POST", FLOWS, {"handler": DOMAIN}))

    @classmethod
    async def resume(cls, home: HassClient, flow_id: str) -> Flow:
        """Open a dialog that is in progress."""
        return cls(home, await home.rest("GET", f"{FLOWS}/{flow_id}"))

    @property
    def shows(self) -> str:
        """What the dialog shows: a step, or how it ended."""
        return str(self.result.get("step_id") or self.result["type"])

    @property
    def error(self) -> str | None:
        """The error that the dialog shows above its fields."""
        errors: dict[str, str] = self.result.get("errors") or {}
        return errors.get("base")

    async def submit(self, **fields: Any) -> Data:
        """Fill the form in, and return what comes next."""
        self.result = await self._home.rest("POST", self._path, fields)
        return self.result

    async def choose(self, option: str) -> Data:
        """Choose from the menu, and return what comes next."""
        return await self.submit(next_step_id=option)

    async def abandon(self) -> None:
        """Close the dialog."""
        await self._home.rest("DELETE", self._path)

    async def submit_password(
        self, username: str, password: str, server_url: str
    ) -> Data:
        """Fill the form for user name and password in."""
        return await self.submit(
            username=username, password=password, advanced={"server_url": server_url}
        )

    async def get_link_code(self, server_url: str) -> str:
        """Ask for a code, and return the one that the dialog shows."""
        await self.choose("password")
        await self.submit(use_link=True, advanced={"server_url": server_url})
        code: str = self.result["description_placeholders"]["code"]
        return code

    async def use_link_code(
        self, plex: EmulatorClient, code: str, username: str
    ) -> Data:
        """Type the code at plex.tv/link, and return how the dialog ends by itself."""
        async with (
            asyncio.timeout(LINK_TIMEOUT),
            self._home.subscription(
                "subscribe_events", event_type="data_entry_flow_progressed"
            ) as events,
        ):
            await plex("claim_pin", code=code, account=username)
            async for event in events:
                if event["data"]["flow_id"] == self.flow_id:
                    # Told so, the frontend asks for what to show, and so do we.
                    self.result = await self._home.rest("GET", self._path)
                    break
        return self.result


async def sign_in_with_password(
    home: HassClient, plex: EmulatorClient, username: str
) -> Data:
    """Add an account with its password, and with its code if it has one."""
    account = await plex.account(username)
    flow = await Flow.start(home)
    await flow.choose("password")
    await flow.submit_password(username, account["password"], plex.url)
    if account["verification_code"]:
        await flow.submit(code=account["verification_code"])
    entry: Data = flow.result["result"]
    return entry


async def sign_in_with_link(
    home: HassClient, plex: EmulatorClient, username: str
) -> tuple[Data, str]:
    """Add an account with a link code, and return the entry and the code."""
    flow = await Flow.start(home)
    code = await flow.get_link_code(plex.url)
    await flow.use_link_code(plex, code, username)
    return flow.result["result"], code
