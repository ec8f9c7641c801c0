"""How another process drives the emulator: POST /_emulator/ACTION with JSON."""

from collections.abc import Awaitable, Callable
import json
from typing import TYPE_CHECKING, Any

from .faults import Vanish
from .host import CONTROL
from .problems import RefusedError
from .recording import Received
from .replies import Answer, Data, json_answer
from .resources import VERSION

if TYPE_CHECKING:
    from .emulator import PlexEmulator


class Control:
    """The actions by name. Each takes the members of the JSON object it is sent."""

    def __init__(self, plex: PlexEmulator) -> None:
        """Drive this emulator."""
        self._plex = plex
        self._actions: dict[str, Callable[..., Awaitable[object]]] = {
            "add_server": self._add_server,
            "change_server": self._change_server,
            "claim_pin": self._claim_pin,
            "clear_requests": self._clear_requests,
            "describe": self._describe,
            "requests": self._requests,
            "restart_server": self._restart_server,
            "revoke_tokens": self._revoke_tokens,
            "start_plex_tv": self._start_plex_tv,
            "start_server": self._start_server,
            "stop_plex_tv": self._stop_plex_tv,
            "stop_server": self._stop_server,
        }

    async def answer(self, received: Received) -> Answer:
        """Do one action and answer what came of it."""
        action = self._actions.get(received.path.removeprefix(CONTROL))
        if action is None or received.method != "POST":
            return json_answer({"error": f"POST one of {sorted(self._actions)}"}, 404)
        try:
            result = await action(**json.loads(received.body or b"{}"))
        except (LookupError, RefusedError, TypeError, ValueError) as err:
            return json_answer({"error": str(err)}, 400)
        return json_answer(result)

    async def _describe(self) -> object:
        return describe(self._plex)

    async def _add_server(self, name: str, owner: str) -> object:
        server = await self._plex.add_server(name, owner=self._plex.account(owner))
        return {"url": server.url, "machine_identifier": server.machine_identifier}

    async def _change_server(
        self,
        server: str,
        *,
        encrypt: bool = True,
        https_required: bool = False,
        claimed: bool = True,
        version: str = VERSION,
    ) -> None:
        changed = self._plex.server(server)
        changed.claimed = claimed
        changed.listing.https_required = https_required
        changed.listing.product_version = version
        await self._plex.encrypt_server(changed, encrypt=encrypt)

    async def _restart_server(self, server: str) -> None:
        await self._plex.server(server).restart()

    async def _start_plex_tv(self) -> None:
        self._plex.faults.clear()

    async def _stop_plex_tv(self) -> None:
        self._plex.faults.add(Vanish(), host="plex.tv")

    async def _start_server(self, server: str) -> None:
        await self._plex.server(server).start()

    async def _stop_server(self, server: str) -> None:
        await self._plex.server(server).stop()

    async def _revoke_tokens(self, account: str) -> None:
        self._plex.sign_out_everywhere(self._plex.account(account))

    async def _claim_pin(self, code: str, account: str) -> object:
        pin = self._plex.claim_pin(code, self._plex.account(account))
        return {"client_identifier": pin.client_identifier}

    async def _requests(self, **patterns: str) -> object:
        return [
            {
                "host": received.host,
                "port": received.port,
                "method": received.method,
                "path": received.path,
                "query": dict(received.query),
                "form": dict(received.form),
                "token": received.token,
                "client_identifier": received.client_identifier,
                "time": received.time,
            }
            for received in self._plex.requests.matching(**patterns)
        ]

    async def _clear_requests(self) -> None:
        self._plex.requests.clear()


def describe(plex: PlexEmulator) -> dict[str, Any]:
    """Return all that someone needs to use what is emulated."""
    servers: list[Data] = [
        {
            "name": server.name,
            "url": server.url,
            "machine_identifier": server.machine_identifier,
            "owner": server.owner.username,
            "shared_with": [account.username for account in server.shares],
            "presence": server.listing.presence,
        }
        for server in plex.servers
    ]
    accounts: list[Data] = [
        {
            "username": account.username,
            "email": account.user.email,
            "password": account.password,
            "verification_code": account.verification_code,
        }
        for account in plex.accounts
    ]
    return {"url": plex.url, "accounts": accounts, "servers": servers}
