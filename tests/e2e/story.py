"""What the demonstration shows, and what the end-to-end tests check with it."""

import asyncio
from datetime import datetime, timedelta
import time
from typing import Any

from .emulator_process import EmulatorClient
from .hass_client import Data, HassClient, HassError
from .hass_process import BUTTON, DOMAIN, TEXT, HassProcess
from .narrator import Narrator
from .sign_in import Flow
from .waiting import eventually

USERNAME = "ada"
SERVER = "Attic"
NEW_SERVER = "Garage"
FILM = "A train to nowhere"
PROVIDER = "provider://tv.plex.provider.podcasts"
CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
AUTOMATION = "show_where_the_attic_is"


class Story:
    """Ada adds her account, uses it, and signs in again after it was revoked."""

    def __init__(
        self,
        home: HassClient,
        plex: EmulatorClient,
        narrator: Narrator,
        hass: HassProcess,
    ) -> None:
        """Let it happen in this home and this world of Plex."""
        self._home = home
        self._plex = plex
        self._tell = narrator
        self._hass = hass
        self._entry_id = ""

    async def tell(self) -> None:
        """Go from the first step to the last, checking each."""
        await self._add_account()
        await self._play()
        await self._get_user_details()
        await self._get_sources()
        await self._get_transient_token()
        await self._get_source_connection_information()
        await self._run_automation()
        await self._show_entities()
        await self._restart_server()
        await self._lose_server()
        await self._add_server()
        await self._restart_without_plex_tv()
        await self._revoke()
        await self._sign_in_again()

    async def _add_account(self) -> None:
        """Sign in, after a wrong password and a wrong code."""
        tell = self._tell
        tell.step("Add the account, with user name, password and verification code")
        account = await self._plex.account(USERNAME)
        flow = await Flow.start(self._home)
        tell.expect(
            f"the menu offers {' and '.join(flow.result['menu_options'])}",
            is_so=flow.result["menu_options"] == ["browser", "link", "password"],
        )
        await flow.choose("password")
        await flow.submit_password(USERNAME, "not-the-password", self._plex.url)
        self._expect_error(flow, "a wrong password", "password", "invalid_auth")
        await flow.submit_password(USERNAME, account["password"], self._plex.url)
        tell.expect(
            "the right password is followed by the question for the code",
            is_so=flow.shows == "two_factor" and not flow.error,
        )
        await flow.submit(code="000000")
        self._expect_error(
            flow, "a wrong code", "two_factor", "invalid_two_factor_code"
        )
        await flow.submit(code=account["verification_code"])
        tell.expect(
            "the right code creates the entry", is_so=flow.shows == "create_entry"
        )
        entry = flow.result["result"]
        tell.expect(
            f"the entry {entry['title']} is {entry['state']}",
            is_so=(entry["title"], entry["state"]) == (USERNAME, "loaded"),
        )
        self._entry_id = entry["entry_id"]

    def _expect_error(self, flow: Flow, what: str, step: str, error: str) -> None:
        """Check that the dialog stays open with an error."""
        self._tell.expect(
            f"{what} is refused with {flow.error}",
            is_so=(flow.shows, flow.error) == (step, error),
        )

    async def _play(self) -> None:
        """Let a player fetch a film of which it knows the title only."""
        tell = self._tell
        tell.step("Play a film through Home Assistant, without any token")
        found = await self._action("find_media", query=FILM)
        (item,) = found["items"]
        tell.show({key: item[key] for key in ("title", "year", "server")})
        media = await self._home.command(
            "media_source/resolve_media", media_content_id=item["media_content_id"]
        )
        address = str(media["url"])
        tell.say(f"the player gets {address.partition('?')[0]}")
        tell.expect(
            "no token and no address of Plex is in it",
            is_so="oken" not in address and "://" not in address,
        )
        size = await self._home.fetch(address)
        tell.expect(f"it fetches all of {size:,} bytes", is_so=size > 100_000)

    async def _get_user_details(self) -> None:
        """Show who the account belongs to."""
        user = await self._show_action("get_user_details")
        self._tell.expect(
            "it is the account that signed in, and has no token in it",
            is_so=user["username"] == USERNAME and "token" not in str(user),
        )

    async def _get_sources(self) -> None:
        """Show which servers there are."""
        answer = await self._show_action("get_sources")
        owned = [source["name"] for source in answer["sources"] if source["owned"]]
        shared = [source["name"] for source in answer["sources"] if not source["owned"]]
        self._tell.expect(
            f"{', '.join(owned)} are hers, {', '.join(shared)} is shared with her",
            is_so=owned[0] == SERVER and shared == ["Library"],
        )

    async def _get_transient_token(self) -> None:
        """Show the token of one server."""
        answer = await self._show_action("get_transient_token", **await self._device())
        issued, expires = (
            datetime.fromisoformat(answer[key]) for key in ("issued_at", "expires_at")
        )
        self._tell.expect(
            "it is a transient token, and dies after 48 hours at the latest",
            is_so=answer["token"].startswith("transient-")
            and timedelta() < expires - issued <= timedelta(hours=48),
        )

    async def _get_source_connection_information(self) -> None:
        """Show where a server, a shared one and a provider can be reached."""
        tell = self._tell
        answer = await self._show_source(f"of {SERVER}", await self._source(SERVER))
        tell.expect(
            "the preferred address is the one that answers",
            is_so=answer["preferred_uri"] == (await self._plex.server(SERVER))["url"],
        )
        answer = await self._show_source(
            "of a server that grace shares", await self._source("Library")
        )
        tell.expect(
            "it has a token too, and is reached at an address outside of this home",
            is_so=answer["access_token"]
            and str(answer["preferred_uri"]).startswith("https://localhost:"),
        )
        answer = await self._show_source("of a provider", PROVIDER)
        tell.expect("it has a token too", is_so=answer["access_token"])
        for source, reason in (
            ("nowhere", "is not a Plex source"),
            ("provider://nobody", "knows provider://nobody"),
        ):
            message = await self._refusal(
                "get_source_connection_information", source=source
            )
            tell.expect(f"{source} is refused: {message}", is_so=reason in message)

    async def _run_automation(self) -> None:
        """Use an answer in an automation."""
        tell = self._tell
        tell.step("An automation that uses the answer")
        await self._home.add_automation(
            AUTOMATION,
            {
                "alias": "Show where the attic is",
                # It would keep the token.
                "trace": {"stored_traces": 0},
                "triggers": [{"trigger": "state", "entity_id": BUTTON}],
                "actions": [
                    {
                        "action": f"{DOMAIN}.get_source_connection_information",
                        "data": {
                            "config_entry_id": self._entry_id,
                            "source": await self._source(SERVER),
                        },
                        "response_variable": "plex",
                    },
                    {
                        "action": "input_text.set_value",
                        "target": {"entity_id": TEXT},
                        "data": {"value": "{{ plex.name }}: {{ plex.preferred_uri }}"},
                    },
                ],
            },
        )
        before = await self._home.state(TEXT)
        tell.say(f"{TEXT} is {before!r}")
        await self._home.press(BUTTON)
        tell.say(f"pressed {BUTTON}, to which the automation reacts")

        async def changed() -> str | None:
            state = await self._home.state(TEXT)
            return state if state != before else None

        after = await eventually(changed, f"{TEXT} changes")
        server = await self._plex.server(SERVER)
        tell.expect(f"{TEXT} is {after!r}", is_so=after == f"{SERVER}: {server['url']}")
        await self._home.remove_automation(AUTOMATION)

    async def _show_entities(self) -> None:
        """Show every entity with its device and state."""
        self._tell.step("The entities")
        rows = await self._entity_rows()
        self._tell.table(rows)
        self._tell.expect(
            f"there are {len(rows)}, and no token is in them",
            is_so="token-" not in str(rows) and "transient-" not in str(rows),
        )
        states = {row["entity"]: row["state"] for row in rows}
        self._tell.expect(
            f"{USERNAME} has a Plex Pass, and {SERVER} is connected",
            is_so=states[PLEX_PASS] == "on" and states[CONNECTIVITY] == "on",
        )

    async def _restart_server(self) -> None:
        """Let a server forget its tokens, and get an answer all the same."""
        tell = self._tell
        tell.step(f"{SERVER} restarts, and no longer knows its transient tokens")
        device = await self._device()
        old = (await self._action("get_transient_token", **device))["token"]
        await self._plex("clear_requests")
        await self._plex.restart_server(SERVER)
        answer = await self._action(
            "get_source_connection_information",
            source=await self._source(SERVER),
            **device,
        )
        new = (await self._action("get_transient_token", **device))["token"]
        asked = await self._plex("requests", host=SERVER, path="/security/resources")
        tell.show({"before": old, "after": new})
        tell.expect(
            "a new one was there before anybody asked, and the server knows it",
            is_so=[request["token"] for request in asked] == [new] and old != new,
        )
        tell.expect(
            f"the action answered as if nothing had happened: {answer['name']} "
            f"is at {answer['preferred_uri']}",
            is_so=answer["preferred_uri"],
        )

    async def _lose_server(self) -> None:
        """Let a server be gone for a while, and come back without its tokens."""
        tell = self._tell
        tell.step(f"{SERVER} is gone for a while")

        async def wait_for(state: str) -> str:
            async def reached() -> bool:
                return await self._home.state(CONNECTIVITY) == state

            started = time.monotonic()
            await eventually(reached, f"{SERVER} is {state}")
            return f"within {time.monotonic() - started + 0.1:.1f} seconds"

        stopping = asyncio.create_task(self._plex("stop_server", server=SERVER))
        tell.say(f"Home Assistant says that it is off {await wait_for('off')}")
        await stopping
        await self._plex("clear_requests")
        await self._plex.restart_server(SERVER)
        tell.say(f"and that it is back {await wait_for('on')}")
        renewed = await self._plex("requests", host=SERVER, path="/security/token")
        tell.expect("its token is a new one, which nobody has asked for", is_so=renewed)

    async def _add_server(self) -> None:
        """Let an account have one more server."""
        tell = self._tell
        tell.step(f"A new server, {NEW_SERVER}, appears after a refresh of the account")
        tell.expect(
            "it is not there yet", is_so=NEW_SERVER not in await self._devices()
        )
        await self._plex("add_server", name=NEW_SERVER, owner=USERNAME)
        await self._action("get_user_details", refresh=True)

        async def appeared() -> list[Data] | None:
            rows = await self._entity_rows(NEW_SERVER)
            return rows if any(row["state"] == "on" for row in rows) else None

        rows = await eventually(appeared, f"the entities of {NEW_SERVER} appear")
        tell.table(rows)
        token = await self._action(
            "get_transient_token", device_id=(await self._devices())[NEW_SERVER]
        )
        tell.expect(
            f"its transient token is {token['token']}",
            is_so=token["server"]["name"] == NEW_SERVER,
        )

    async def _restart_without_plex_tv(self) -> None:
        """Start Home Assistant while plex.tv is down."""
        tell = self._tell
        tell.step("plex.tv is down, and Home Assistant restarts")
        await self._plex("stop_plex_tv")
        started = time.monotonic()
        await asyncio.to_thread(self._hass.restart)
        await self._hass.until(self._home.version)
        tell.say(f"it runs again after {time.monotonic() - started:.0f} seconds")

        async def connected() -> bool:
            return await self._home.state(CONNECTIVITY) == "on"

        await eventually(connected, f"{SERVER} is connected")
        tell.expect(
            f"{SERVER} is connected; of the account nothing new is known",
            is_so=await self._home.state(PLEX_PASS) == "unavailable",
        )
        answer = await self._action(
            "get_source_connection_information", source=await self._source(SERVER)
        )
        tell.expect(
            f"an action answers: {answer['name']} is at {answer['preferred_uri']}",
            is_so=answer["preferred_uri"],
        )
        await self._plex("start_plex_tv")

        async def asked() -> bool:
            try:
                await self._action("get_user_details", refresh=True)
            except HassError:
                # It has met a refresh that began before.
                return False
            return True

        await eventually(asked, "plex.tv answers")
        tell.expect(
            "plex.tv is back, and so is what it tells",
            is_so=await self._home.state(PLEX_PASS) == "on",
        )

    async def _revoke(self) -> None:
        """Sign the account out everywhere."""
        tell = self._tell
        tell.step("All devices of the account are signed out at plex.tv")
        await self._plex("revoke_tokens", account=USERNAME)
        message = await self._refusal("get_user_details", refresh=True)
        tell.expect(f"get_user_details: {message}", is_so="Sign in again" in message)
        flow = await self._reauth()
        name = flow["context"]["title_placeholders"]["name"]
        tell.expect(
            f"Home Assistant asks to sign in again: a reauth flow named {name}",
            is_so=(name, flow["context"]["source"]) == (USERNAME, "reauth"),
        )
        tell.expect("the repairs list it", is_so=await self._listed_in_repairs())

    async def _sign_in_again(self) -> None:
        """Complete the reauthentication with a link code."""
        tell = self._tell
        tell.step("Sign in again, this time with a link code")
        flow = await Flow.resume(self._home, (await self._reauth())["flow_id"])
        tell.expect(
            f"the menu {flow.shows} offers {' and '.join(flow.result['menu_options'])}",
            is_so=flow.shows == "reauth_confirm",
        )
        code = await flow.get_link_code(self._plex.url)
        tell.expect(
            f"the dialog shows a code of {len(code)} characters and waits",
            is_so=(flow.shows, flow.result["type"], len(code))
            == ("link_wait", "progress", 4),
        )
        tell.say(f"{USERNAME} types it at plex.tv/link")
        await flow.use_link_code(self._plex, code, USERNAME)
        reason = flow.result.get("reason")
        tell.expect(
            f"the dialog goes on by itself: {reason}",
            is_so=reason == "reauth_successful",
        )
        await eventually(self._loaded, "the entry is loaded again")
        user = await self._action("get_user_details", refresh=True)
        answer = await self._action(
            "get_source_connection_information", source=await self._source(SERVER)
        )
        tell.expect(
            f"{user['username']}'s {answer['name']} is at {answer['preferred_uri']}",
            is_so=answer["preferred_uri"],
        )
        tell.expect(
            "the repairs no longer list it", is_so=not await self._listed_in_repairs()
        )

    async def _action(self, name: str, **data: Any) -> Data:
        """Perform an action for the account."""
        return await self._home.action(name, config_entry_id=self._entry_id, **data)

    async def _refusal(self, name: str, **data: Any) -> str:
        """Return why an action is refused."""
        try:
            await self._action(name, **data)
        except HassError as err:
            return err.message
        return "not refused"

    async def _show_action(self, name: str, **data: Any) -> Data:
        """Perform an action in a step of its own, and show what it answers."""
        self._tell.step(f"Action {DOMAIN}.{name}")
        answer = await self._action(name, **data)
        self._tell.show(answer)
        return answer

    async def _show_source(self, what: str, source: str) -> Data:
        """Look a source up in a step of its own, and show where it is."""
        name = "get_source_connection_information"
        self._tell.step(f"Action {DOMAIN}.{name} {what}")
        answer = await self._action(name, source=source)
        # An address says the others of its members itself.
        columns = ("uri", "local", "relay", "reachable", "latency_ms")
        connections = [
            {column: connection[column] for column in columns}
            for connection in answer["connections"]
        ]
        self._tell.show({**answer, "connections": connections})
        return answer

    async def _source(self, server: str) -> str:
        """Return the source of a server."""
        return f"server://{(await self._plex.server(server))['machine_identifier']}"

    async def _devices(self) -> dict[str, str]:
        """Return the devices' ids by their names."""
        devices = await self._home.devices(self._entry_id)
        return {device["name"]: device["id"] for device in devices}

    async def _device(self) -> Data:
        """Return the field of an action that names the server."""
        return {"device_id": (await self._devices())[SERVER]}

    async def _entity_rows(self, device: str | None = None) -> list[Data]:
        """Return the entities of the account, or of one device of it."""
        names = {key: name for name, key in (await self._devices()).items()}
        states = await self._home.states()
        entities = await self._home.entities(self._entry_id)
        rows = [
            {
                "device": names[entity["device_id"]],
                "entity": entity["entity_id"],
                "state": _state(entity, states),
            }
            for entity in entities
            if device in {None, names[entity["device_id"]]}
        ]
        return sorted(rows, key=lambda row: (row["device"].casefold(), row["entity"]))

    async def _reauth(self) -> Data:
        """Return the flow that asks to sign in again."""

        async def find() -> Data | None:
            for flow in await self._home.flows_in_progress():
                if flow["context"].get("entry_id") == self._entry_id:
                    return flow
            return None

        return await eventually(find, "Home Assistant asks to sign in again")

    async def _loaded(self) -> str | None:
        """Return the state of the entry once it is loaded."""
        for entry in await self._home.entries():
            if (entry["entry_id"], entry["state"]) == (self._entry_id, "loaded"):
                return str(entry["state"])
        return None

    async def _listed_in_repairs(self) -> bool:
        """Return if the repairs say that one has to sign in again."""
        return any(
            issue["translation_key"] == "config_entry_reauth"
            and issue["issue_domain"] == DOMAIN
            for issue in await self._home.issues()
        )


def _state(entity: Data, states: dict[str, Data]) -> str:
    """Return the state of an entity, or why it has none."""
    if entity["disabled_by"]:
        return f"disabled by {entity['disabled_by']}"
    if (state := states.get(entity["entity_id"])) is None:
        return "-"
    unit = state["attributes"].get("unit_of_measurement", "")
    return f"{state['state']} {unit}".rstrip()
