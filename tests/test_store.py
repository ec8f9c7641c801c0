"""Tests of what outlives a restart."""

import asyncio
from collections.abc import Callable, Generator
from copy import deepcopy
from datetime import timedelta
import json
from pathlib import Path
import shutil
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import store
from custom_components.plex_account.const import DOMAIN
from custom_components.plex_account.server_coordinator import Trouble
from homeassistant.const import CONF_TOKEN, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.storage import Store

from . import Tick, perform, setup_integration, state_of
from .const import SERVER_POLL
from .plex_emulator import Account, Delay, MediaServer, PlexEmulator, Vanish, error

CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
NOT_READABLE = "What was stored of a Plex account can't be read"

type Spoil = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt, or before something is written."""
    monkeypatch.setattr(store, "SAVE_DELAY", 0.05)


# What the harness replaces.
REAL = {
    name: getattr(Store, name)
    for name in ("_async_load", "_async_write_data", "async_remove")
}


@pytest.fixture
def storage(
    hass: HomeAssistant, config_entry: MockConfigEntry, tmp_path: Path
) -> Generator[Path]:
    """Return the file of Ada's account, on a real disk."""
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / ".storage"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name, function in REAL.items():
            patch.setattr(Store, name, function)
        yield folder / f"{DOMAIN}.{config_entry.entry_id}"


@pytest.fixture
async def stored(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> dict[str, Any]:
    """Return what is stored of Ada's account, which is not loaded any more."""
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    file: dict[str, Any] = hass_storage[f"{DOMAIN}.{config_entry.entry_id}"]
    return file


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Load an account again."""
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_stored_and_removed(
    hass: HomeAssistant,
    ada: Account,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """What plex.tv told is stored when the account is unloaded, and goes with it."""
    data = stored["data"]
    assert data["https_worked"] == [attic.machine_identifier]
    assert data["user"]["uuid"] == ada.user.uuid
    (server,) = data["servers"]
    assert server["accessToken"] == attic.access_token(ada)
    assert data["connections"][attic.machine_identifier]["uri"] == attic.url
    # The account's token has its place in the entry.
    assert config_entry.data["token"] not in str(data)
    (token,) = attic.transient_tokens
    assert token.text not in str(data)
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert not [key for key in hass_storage if key.startswith(DOMAIN)]


async def test_private(
    hass: HomeAssistant, storage: Path, loaded: MockConfigEntry
) -> None:
    """Nobody else on the machine may read it."""
    await hass.config_entries.async_unload(loaded.entry_id)
    status = await hass.async_add_executor_job(storage.stat)
    assert status.st_mode & 0o077 == 0
    text = await hass.async_add_executor_job(storage.read_text)
    assert json.loads(text)["version"] == 1


async def test_details_without_plex_tv(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
) -> None:
    """Whose account it is is known from before."""
    plex.faults.add(Vanish(), host="plex.tv")
    await start(hass, config_entry)
    response = await perform(hass, "get_user_details")
    assert response["uuid"] == ada.user.uuid


async def test_only_written_if_new(
    hass: HomeAssistant,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """Nothing is written as long as all is as it was."""
    key = f"{DOMAIN}.{config_entry.entry_id}"
    await start(hass, config_entry)
    hass_storage[key] = "untouched"
    store = config_entry.runtime_data.store
    await config_entry.runtime_data.async_refresh()
    store.async_set_https_worked("another", worked=False)
    await asyncio.sleep(0.2)
    assert hass_storage[key] == "untouched"
    store.async_set_https_worked("another", worked=True)
    await asyncio.sleep(0.2)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "another" in hass_storage[key]["data"]["https_worked"]


def changed(**changes: Any) -> Spoil:
    """Return what replaces a part of the data."""
    return lambda file: {**file, "data": {**file["data"], **changes}}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: {**file, "version": 99},
        lambda file: {**file, "version": 0},
        changed(user={}),
        changed(user="ada"),
        changed(user={"id": 1, "uuid": "somebodyelse0000"}),
        changed(servers=[{"name": "Attic"}]),
    ],
)
async def test_unreadable(
    hass: HomeAssistant,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
) -> None:
    """What can't be understood or is another's is told once, and replaced."""
    key = f"{DOMAIN}.{config_entry.entry_id}"
    before = deepcopy(stored)
    hass_storage[key] = spoil(stored)
    await start(hass, config_entry)
    assert caplog.text.count(NOT_READABLE) == 1
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    await hass.config_entries.async_unload(config_entry.entry_id)
    assert hass_storage[key]["version"] == before["version"]
    assert hass_storage[key]["data"] == before["data"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: {**file, "data": {}},
        # As 1.0.1 wrote it.
        lambda file: {**file, "data": {"https_worked": [], "rotation": []}},
        changed(https_worked="x", rotation={"a": 1}),
        changed(https_worked=[1, None], rotation=["a"]),
        changed(connections="x"),
        changed(connections={"x": 1, "y": {"uri": "no"}}),
    ],
)
async def test_partly_unreadable(
    hass: HomeAssistant,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
) -> None:
    """What is missing or odd is done without."""
    hass_storage[f"{DOMAIN}.{config_entry.entry_id}"] = spoil(stored)
    await start(hass, config_entry)
    assert NOT_READABLE not in caplog.text
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert state_of(hass, PLEX_PASS) == STATE_ON


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 1, "minor_version": 1, "da',
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'{"version": 1, "minor_version": 1, "key": "x"}',
        b'{"version": "x", "minor_version": 1, "key": "x", "data": {}}',
        b'{"version": 1, "minor_version": 1, "key": "x", "data": [1]}',
        b'{"version": 1, "minor_version": 1, "key": "x", "data": "x"}',
    ],
)
async def test_damaged_file(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    storage: Path,
    content: bytes,
) -> None:
    """A file that is none is replaced, whatever has become of it."""
    await hass.async_add_executor_job(storage.write_bytes, content)
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert state_of(hass, PLEX_PASS) == STATE_ON
    await hass.config_entries.async_unload(config_entry.entry_id)
    written = await hass.async_add_executor_job(storage.read_bytes)
    assert json.loads(written)["data"]["user"]["username"] == "ada"


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"version": 99, "minor_version": 1, "key": "x", "data": {}}',
        b'{"version": 0, "minor_version": 1, "key": "x", "data": {}}',
    ],
)
async def test_damaged_while_it_is_loaded(
    hass: HomeAssistant, storage: Path, content: bytes, loaded: MockConfigEntry
) -> None:
    """What has become of the file meanwhile is mended in the end."""
    await hass.config_entries.async_unload(loaded.entry_id)
    before = await hass.async_add_executor_job(storage.read_bytes)
    await start(hass, loaded)
    await hass.async_add_executor_job(storage.write_bytes, content)
    await hass.config_entries.async_unload(loaded.entry_id)
    assert await hass.async_add_executor_job(storage.read_bytes) == before


def in_the_way(file: Path) -> None:
    """Let nothing be written there."""
    file.unlink(missing_ok=True)
    (file / "in the way").mkdir(parents=True)


async def test_full_disk(
    hass: HomeAssistant,
    storage: Path,
    caplog: pytest.LogCaptureFixture,
    loaded: MockConfigEntry,
) -> None:
    """What could not be written is written as soon as that is possible."""
    await hass.async_add_executor_job(in_the_way, storage)
    loaded.runtime_data.store.async_set_https_worked("another", worked=True)
    await asyncio.sleep(0.2)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "Error writing config" in caplog.text
    await hass.async_add_executor_job(shutil.rmtree, storage)
    await hass.config_entries.async_unload(loaded.entry_id)
    assert "another" in await hass.async_add_executor_job(storage.read_text)


async def test_busy_while_removed(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    storage: Path,
    loaded: MockConfigEntry,
) -> None:
    """A look for a server that outlives the account does not bring its file back."""
    account = loaded.runtime_data
    server = account.servers[attic.machine_identifier]
    token = server.data.token
    plex.faults.add(Delay(0.3), path="/identity")
    looking = asyncio.create_task(server.async_replace_access(token, Trouble.LOST))
    await asyncio.sleep(0.1)
    await hass.config_entries.async_remove(loaded.entry_id)
    with pytest.raises(HomeAssistantError):
        await looking
    account.store.async_set_https_worked("another", worked=True)
    await asyncio.sleep(0.2)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not await hass.async_add_executor_job(storage.exists)


@pytest.mark.parametrize("servers", ["x", None])
async def test_devices_outlive_damage(
    hass: HomeAssistant,
    plex: PlexEmulator,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    servers: object,
) -> None:
    """Nothing is removed because of what was not stored."""
    (device,) = [
        device
        for device in dr.async_entries_for_config_entry(
            dr.async_get(hass), config_entry.entry_id
        )
        if device.name == "Attic"
    ]
    key = f"{DOMAIN}.{config_entry.entry_id}"
    hass_storage[key] = changed(servers=servers)(stored)
    rule = plex.faults.add(Vanish(), host="plex.tv")
    await start(hass, config_entry)
    assert dr.async_get(hass).async_get(device.id)
    await hass.config_entries.async_unload(config_entry.entry_id)
    # Nor if what is stored is of a time before the server.
    hass_storage[key] = changed(servers=[])(stored)
    await start(hass, config_entry)
    assert dr.async_get(hass).async_get(device.id)
    plex.faults.remove(rule)
    await config_entry.runtime_data.async_refresh()
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_rejected_again_and_again(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    tick: Tick,
) -> None:
    """That a server rejects a token that is forgotten is nothing new to be written."""
    await start(hass, config_entry)
    plex.faults.add(Vanish(), host="plex.tv")
    plex.faults.add(error(401, kind="html"), host="Attic", path="/*")
    attic.forget_tokens()
    await tick(SERVER_POLL)
    await tick(timedelta(seconds=2))
    key = f"{DOMAIN}.{config_entry.entry_id}"
    (server,) = hass_storage[key]["data"]["servers"]
    assert server["accessToken"] is None
    hass_storage[key] = "untouched"
    for _ in range(3):
        await tick(SERVER_POLL)
    assert hass_storage[key] == "untouched"


async def test_rejected_token_is_dropped(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """A server's token is forgotten if that server rejects it, and only then."""
    plex.faults.add(Vanish(), host="plex.tv")
    await attic.stop()
    await start(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    key = f"{DOMAIN}.{config_entry.entry_id}"
    (server,) = hass_storage[key]["data"]["servers"]
    assert server["accessToken"] == attic.access_token(ada)

    await attic.start()
    attic.revoke(ada)
    await start(hass, config_entry)
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    await hass.config_entries.async_unload(config_entry.entry_id)
    (server,) = hass_storage[key]["data"]["servers"]
    assert server["accessToken"] is None


async def test_rotation_is_stored_at_once(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """A new token is not lost if Home Assistant dies before its entries are stored."""
    await setup_integration(hass, config_entry)
    (token,) = plex.tv.tokens
    old, new = token.text, plex.tv.rotate(token)
    await config_entry.runtime_data.async_refresh()
    assert new in str(hass_storage[f"{DOMAIN}.{config_entry.entry_id}"])

    # As it is when what was stored before is read again.
    await hass.config_entries.async_unload(config_entry.entry_id)
    hass.config_entries.async_update_entry(
        config_entry, data={**config_entry.data, CONF_TOKEN: old}
    )
    plex.requests.clear()
    await hass.config_entries.async_setup(config_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert config_entry.data[CONF_TOKEN] == new
    assert {r.token for r in plex.requests.matching(host="plex.tv")} == {new}
