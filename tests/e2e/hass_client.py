"""What can be done with Home Assistant over its REST and WebSocket API."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientWebSocketResponse

from .hass_process import DOMAIN
from .waiting import eventually

type Data = dict[str, Any]


class HassError(Exception):
    """What Home Assistant answered to something it did not do."""

    def __init__(self, code: int | str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class HassClient:
    """One user of a Home Assistant."""

    def __init__(self, session: ClientSession, url: str, token: str) -> None:
        """Speak for the user who has this token."""
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}
        self.url = url
        self.token = token

    async def rest(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the REST API."""
        async with self._session.request(
            method, f"{self.url}/api/{path}", json=body, headers=self._headers
        ) as response:
            return await _read(response)

    async def fetch(self, address: str) -> int:
        """Fetch what is at a signed address, as a player does; return its size."""
        async with self._session.get(f"{self.url}{address}") as response:
            return len(await response.read()) if response.ok else 0

    async def command(self, kind: str, **fields: object) -> Any:
        """Send one command over a WebSocket connection of its own."""
        async with self._websocket() as socket:
            return await _command(socket, kind, **fields)

    @asynccontextmanager
    async def subscription(
        self, kind: str, **fields: object
    ) -> AsyncGenerator[AsyncGenerator[Data]]:
        """Send a command that is answered again and again."""

        async def listen() -> AsyncGenerator[Data]:
            while True:
                message = await socket.receive_json()
                yield message["event"]

        async with self._websocket() as socket:
            await _command(socket, kind, **fields)
            yield listen()

    @asynccontextmanager
    async def _websocket(self) -> AsyncGenerator[ClientWebSocketResponse]:
        """Connect, and say who we are."""
        async with self._session.ws_connect(f"{self.url}/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self.token})
            answer = await socket.receive_json()
            if answer["type"] != "auth_ok":
                raise HassError(answer["type"], answer["message"])
            yield socket

    async def action(self, name: str, **data: object) -> Data:
        """Perform one of the integration's actions over REST, return its response."""
        path = f"services/{DOMAIN}/{name}?return_response"
        response: Data = (await self.rest("POST", path, data))["service_response"]
        return response

    async def action_over_websocket(self, name: str, **data: object) -> Data:
        """Perform one of the integration's actions as the frontend does."""
        answer = await self.command(
            "call_service",
            domain=DOMAIN,
            service=name,
            service_data=data,
            return_response=True,
        )
        response: Data = answer["response"]
        return response

    async def press(self, button: str) -> None:
        """Press an input button."""
        await self.rest("POST", "services/input_button/press", {"entity_id": button})

    async def version(self) -> str | None:
        """Return the version of a Home Assistant that has started, else None."""
        try:
            config = await self.rest("GET", "config")
        except ClientError, HassError:
            return None
        return config["version"] if config["state"] == "RUNNING" else None

    async def states(self) -> dict[str, Data]:
        """Return the state of every entity."""
        return {state["entity_id"]: state for state in await self.rest("GET", "states")}

    async def state(self, entity_id: str) -> str | None:
        """Return the state of one entity, None if there is none."""
        state = (await self.states()).get(entity_id)
        return state["state"] if state else None

    async def entries(self, domain: str = DOMAIN) -> list[Data]:
        """Return the entries of an integration, of ours if none is named."""
        entries: list[Data] = await self.rest(
            "GET", f"config/config_entries/entry?domain={domain}"
        )
        return entries

    async def remove_entry(self, entry_id: str) -> None:
        """Remove an entry."""
        await self.rest("DELETE", f"config/config_entries/entry/{entry_id}")

    async def devices(self, entry_id: str) -> list[Data]:
        """Return the devices of an entry."""
        devices = await self.command("config/device_registry/list")
        return [item for item in devices if entry_id in item["config_entries"]]

    async def entities(self, entry_id: str) -> list[Data]:
        """Return what the entity registry has of an entry."""
        entities = await self.command("config/entity_registry/list")
        return [item for item in entities if item["config_entry_id"] == entry_id]

    async def flows_in_progress(self) -> list[Data]:
        """Return the integration's flows that wait for a user."""
        return [
            flow
            for flow in await self.command("config_entries/flow/progress")
            if flow["handler"] == DOMAIN
        ]

    async def issues(self) -> list[Data]:
        """Return what needs repair."""
        issues: list[Data] = (await self.command("repairs/list_issues"))["issues"]
        return issues

    async def add_automation(self, key: str, config: Data) -> str:
        """Create an automation as the editor does, and return its entity."""
        await self.rest("POST", f"config/automation/config/{key}", config)

        async def find() -> str | None:
            for entity_id, state in (await self.states()).items():
                if state["attributes"].get("id") == key:
                    return entity_id
            return None

        return await eventually(find, f"there is the automation {key}")

    async def remove_automation(self, key: str) -> None:
        """Delete an automation as the editor does."""
        await self.rest("DELETE", f"config/automation/config/{key}")

    async def add_user(self, name: str, password: str, *, group: str) -> HassClient:
        """Create a user with a log-in, and log in."""
        created = await self.command(
            "config/auth/create", name=name, group_ids=[group], local_only=False
        )
        await self.command(
            "config/auth_provider/homeassistant/create",
            user_id=created["user"]["id"],
            username=name,
            password=password,
        )
        return await log_in(self._session, self.url, name, password)


async def onboard(
    session: ClientSession, url: str, name: str, password: str
) -> HassClient:
    """Create the owner of a new Home Assistant."""
    async with session.post(
        f"{url}/api/onboarding/users",
        json={
            "client_id": f"{url}/",
            "name": name.capitalize(),
            "username": name,
            "password": password,
            "language": "en",
        },
    ) as response:
        code = (await _read(response))["auth_code"]
    return await _redeem(session, url, code)


async def log_in(
    session: ClientSession, url: str, name: str, password: str
) -> HassClient:
    """Log in as the log-in page does."""
    client = {"client_id": f"{url}/"}
    async with session.post(
        f"{url}/auth/login_flow",
        json={**client, "handler": ["homeassistant", None], "redirect_uri": f"{url}/"},
    ) as response:
        flow = await _read(response)
    async with session.post(
        f"{url}/auth/login_flow/{flow['flow_id']}",
        json={**client, "username": name, "password": password},
    ) as response:
        result = await _read(response)
    return await _redeem(session, url, result["result"])


async def _command(socket: ClientWebSocketResponse, kind: str, **fields: object) -> Any:
    """Send the only command of a connection, and return its result."""
    await socket.send_json({"id": 1, "type": kind, **fields})
    answer = await socket.receive_json()
    if not answer["success"]:
        raise HassError(answer["error"]["code"], answer["error"]["message"])
    return answer["result"]


async def _redeem(session: ClientSession, url: str, code: str) -> HassClient:
    """Exchange the code of a log-in for a token."""
    async with session.post(
        f"{url}/auth/token",
        data={"grant_type": "authorization_code", "code": code, "client_id": f"{url}/"},
    ) as response:
        return HassClient(session, url, (await _read(response))["access_token"])


async def _read(response: ClientResponse) -> Any:
    """Return a JSON answer, raise what was refused."""
    if response.ok:
        return await response.json()
    text = await response.text()
    if response.content_type == "application/json":
        text = (await response.json()).get("message", text)
    raise HassError(response.status, text)
