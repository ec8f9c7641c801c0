"""An account in a real Home Assistant process."""

import json
import re

import pytest

from .emulator_process import EmulatorClient, read_json
from .hass_client import Data, HassClient, HassError
from .hass_process import BUTTON, DOMAIN, TEXT, HassProcess
from .narrator import Narrator
from .sign_in import Flow, sign_in_with_link, sign_in_with_password
from .soak import TOKEN
from .story import Story
from .waiting import eventually

AUTOMATION = "perform_every_action"
# All of the end-to-end tests but those with a browser share one Home Assistant.
pytestmark = pytest.mark.xdist_group("e2e")


async def test_story(
    home: HassClient, plex_world: EmulatorClient, hass_process: HassProcess
) -> None:
    """All that the demonstration shows is so."""
    await Story(home, plex_world, Narrator(silent=True), hass_process).tell()


async def test_stored(
    hass_process: HassProcess, home: HassClient, plex_world: EmulatorClient
) -> None:
    """Neither password nor verification code is kept, nor is a link code."""
    by_password = await sign_in_with_password(home, plex_world, "ada")
    by_link, code = await sign_in_with_link(home, plex_world, "linus")
    for entry in (by_password, by_link):
        stored = await _stored_data(hass_process, entry)
        assert stored.keys() == {"token", "client_identifier", "server_url"}
        assert stored["server_url"] == plex_world.url
    ada = await plex_world.account("ada")
    secrets = ada["password"], ada["verification_code"], code
    _assert_in_no_file(hass_process, *secrets)


async def test_actions_are_for_administrators_and_automations(
    home: HassClient, plex_world: EmulatorClient
) -> None:
    """A user without rights is refused, also if an automation reacts to the user."""
    entry = await sign_in_with_password(home, plex_world, "grace")
    calls = await _calls(home, plex_world, entry, "Library")
    guest = await home.add_user("guest", "password-home-guest", group="system-users")

    for name, data in calls.items():
        assert await home.action_over_websocket(name, **data)
    asked = await plex_world("requests")
    for name, data in calls.items():
        with pytest.raises(HassError) as caught:
            await guest.action_over_websocket(name, **data)
        assert caught.value.message == "Unauthorized"
    assert await plex_world("requests") == asked

    await home.add_automation(AUTOMATION, _automation(calls))
    await guest.press(BUTTON)

    async def all_answered() -> bool:
        return await home.state(TEXT) == "grace, 46, Library, 1"

    await eventually(all_answered, "the automation has got every answer")
    await home.remove_automation(AUTOMATION)


async def test_log_has_no_secret(
    hass_process: HassProcess, home: HassClient, plex_world: EmulatorClient
) -> None:
    """Whatever happens, nothing that opens a door is logged."""
    flow = await Flow.start(home)
    await flow.choose("password")
    await flow.submit_password("ada", "password-of-another", plex_world.url)
    await flow.abandon()
    _, code = await sign_in_with_link(home, plex_world, "linus")
    entry = await sign_in_with_password(home, plex_world, "ada")
    calls = await _calls(home, plex_world, entry, "Attic")
    answers = [await home.action(name, **data) for name, data in calls.items()]
    await plex_world.restart_server("Attic")
    answers += [await home.action(name, **data) for name, data in calls.items()]
    await plex_world("revoke_tokens", account="ada")
    with pytest.raises(HassError, match="Sign in again"):
        await home.action(
            "get_user_details", config_entry_id=entry["entry_id"], refresh=True
        )

    log = hass_process.log
    secrets = {"password-of-another", code, *TOKEN.findall(json.dumps(answers))}
    for account in (await plex_world("describe"))["accounts"]:
        secrets |= {account["password"], account["verification_code"]} - {None}
    secrets |= {request["token"] for request in await plex_world("requests")} - {""}
    assert "DEBUG (MainThread) [custom_components.plex_account]" in log
    assert [secret for secret in secrets if _occurs(secret, log)] == []
    assert TOKEN.findall(log) == []


async def _stored_data(hass_process: HassProcess, entry: Data) -> Data:
    """Return the data of an entry once Home Assistant has written all of it."""

    async def find() -> Data | None:
        if not (hass_process.storage / f"plex_account.{entry['entry_id']}").exists():
            return None
        for stored in _stored_entries(hass_process):
            if stored["entry_id"] == entry["entry_id"]:
                data: Data = stored["data"]
                return data
        return None

    return await eventually(find, "the entry is stored")


def _stored_entries(hass_process: HassProcess) -> list[Data]:
    """Return the entries in Home Assistant's storage, none if it has none yet."""
    content = read_json(hass_process.storage / "core.config_entries")
    return content["data"]["entries"] if content else []


def _assert_in_no_file(hass_process: HassProcess, *secrets: str) -> None:
    """Check that secrets, and transient tokens, are nowhere in the storage."""
    for path in hass_process.storage.rglob("*"):
        if path.is_file():
            content = path.read_text()
            found = [secret for secret in secrets if _occurs(secret, content)]
            assert (path.name, found) == (path.name, [])
            assert "transient-" not in content


def _occurs(secret: str, text: str) -> bool:
    """Return if a secret is there, not counting digits within a longer number."""
    return re.search(rf"\b{re.escape(secret)}\b", text) is not None


async def _calls(
    home: HassClient, plex: EmulatorClient, entry: Data, server: str
) -> dict[str, Data]:
    """Return every action with the data to call it with."""
    account = {"config_entry_id": entry["entry_id"]}
    device = {d["name"]: d["id"] for d in await home.devices(entry["entry_id"])}[server]
    identifier = (await plex.server(server))["machine_identifier"]
    data: dict[str, Data] = {
        "get_user_details": {"refresh": True},
        "get_transient_token": {"device_id": device},
        "get_source_connection_information": {"source": f"server://{identifier}"},
        "get_sources": {},
    }
    return {name: account | fields for name, fields in data.items()}


def _automation(calls: dict[str, Data]) -> Data:
    """Return an automation that performs each action, and writes what it got."""
    actions: list[Data] = [
        {"action": f"{DOMAIN}.{name}", "data": data, "response_variable": name}
        for name, data in calls.items()
    ]
    template = (
        "{{ get_user_details.username }}, {{ get_transient_token.token | length }}, "
        "{{ get_source_connection_information.name }}, "
        "{{ get_sources.sources | length }}"
    )
    return {
        "alias": "Perform every action",
        "triggers": [{"trigger": "state", "entity_id": BUTTON}],
        "actions": [
            *actions,
            {
                "action": "input_text.set_value",
                "target": {"entity_id": TEXT},
                "data": {"value": template},
            },
        ],
    }
