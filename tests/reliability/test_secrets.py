"""Tests that no secret gets where it should not be."""

from collections import defaultdict
from collections.abc import Awaitable, Generator
from functools import partial
from http import HTTPStatus
import logging
import traceback
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    flush_store,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from sqlalchemy import MetaData, select

from custom_components.plex_account import identity, pins
from custom_components.plex_account.api import http
from custom_components.plex_account.const import CONF_SERVER_URL, DOMAIN
from homeassistant.components.recorder import Recorder
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.const import (
    CONF_CODE,
    CONF_PASSWORD,
    CONF_TOKEN,
    CONF_USERNAME,
    MATCH_ALL,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.helpers.json import json_dumps
from homeassistant.setup import async_setup_component
from tests import until
from tests.const import PASSWORD
from tests.plex_emulator import (
    Answer,
    Connection,
    Fault,
    Raw,
    Reply,
    Rule,
    Vanish,
    error,
    redirect,
)
from tests.plex_emulator.recording import Received

from .places import AVATAR
from .test_life import press
from .world import World

# As long as no number in a log is.
CODE = "code-314159265358979"
WRONG_CODE = "code-271828182845904"
WRONG_PASSWORD = "password-ada-enchantress"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for anything."""
    monkeypatch.setattr(identity, "SIGN_OUT_TIMEOUT", 0.2)
    monkeypatch.setattr(pins, "POLL_INTERVAL", 0.01)


@pytest.fixture
def every_logger(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Let every logger tell all that it can."""
    levels: dict[logging.Logger, int] = {}
    for name in (None, *logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        levels[logger] = logger.level
        logger.setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    yield
    for logger, level in levels.items():
        logger.setLevel(level)


class Observer:
    """Collects all that comes out, and whom each token was made by."""

    def __init__(self, world: World) -> None:
        """Begin to look."""
        self.world = world
        self.found: dict[str, list[str]] = defaultdict(list)
        self.makers: dict[str, str] = {}
        world.hass.bus.async_listen(MATCH_ALL, self.note_event)

    @callback
    def note_event(self, event: Event) -> None:
        """Keep an event."""
        self.found["event bus"].append(json_dumps(event.as_dict()))
        self.note_states()
        self.note_makers()

    def note_states(self) -> None:
        """Keep all states."""
        states = [state.as_dict() for state in self.world.hass.states.async_all()]
        self.found["states"] = [*self.found["states"][-50:], json_dumps(states)]

    def note_makers(self) -> None:
        """Remember which server made a token: it forgets those that are revoked."""
        for server in self.world.plex.servers:
            for token in (*server._tokens, *server._transient):
                self.makers[token] = server.label

    async def failing(self, doing: Awaitable[object]) -> None:
        """Do something that may fail, and keep all that the error tells."""
        try:
            await doing
        except HomeAssistantError as err:
            told = [str(err), repr(err), *traceback.format_exception(err)]
            self.found["exceptions"] += told
        self.note_makers()

    def note_flow(self, result: Any) -> None:
        """Keep what a dialog shows."""
        if result["type"] is not FlowResultType.CREATE_ENTRY:
            shown = dict(result)
            if schema := shown.pop("data_schema", None):
                # With what the fields are filled with.
                fields = schema.schema.items()
                shown["fields"] = [
                    (str(marker), vars(marker), vars(field)) for marker, field in fields
                ]
            self.found["dialogs"].append(repr(shown))

    def note_storage(self, storage: dict[str, Any]) -> None:
        """Keep what is stored, but for the data and the private files of entries."""
        stored = {
            key: value
            for key, value in storage.items()
            if value and not key.startswith(f"{DOMAIN}.")
        }
        if entries := stored.pop("core.config_entries", None):
            self.found[".storage"] += [
                json_dumps(
                    {key: value for key, value in entry.items() if key != "data"}
                )
                for entry in entries["data"]["entries"]
                if entry["domain"] == DOMAIN
            ]
        self.found[".storage"].append(json_dumps(stored))

    def leaks(self) -> list[tuple[str, str]]:
        """Return the secrets that came out, and where."""
        return [
            (place, secret)
            for place, texts in self.found.items()
            for secret in self.world.plex.secrets
            if any(secret in text for text in texts)
        ]


def faults(world: World) -> list[Fault]:
    """Return failures whose answers hold secrets, or what looks like a request."""
    token = next(reversed(world.plex.tv.tokens)).text if world.plex.tv.tokens else ""
    told = f"{token} {world.attic.access_token(world.ada)} {PASSWORD} {CODE}"
    page = f"<html>{told}</html>".encode()
    return [
        error(401, message=told),
        error(422, kind="xml", message=told),
        error(500, kind="html", message=told),
        redirect(f"http://127.0.0.1:{world.plex.refusing_port}/?X-Plex-Token={token}"),
        Reply(Answer(200, page, "text/html")),
        Reply(Answer(200, f'{{"authToken": "{told}", '.encode())),
        Reply(Answer(200, f'[{{"id": "{told}", "uuid": 1}}]'.encode())),
        Raw(told.encode()),
        Vanish(),
    ]


async def sign_in(observer: Observer) -> ConfigEntry:
    """Sign in by password and code, with all that can go wrong."""
    world = observer.world
    flows = world.hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})

    async def submit(user_input: dict[str, Any]) -> None:
        nonlocal result
        result = await flows.async_configure(result["flow_id"], user_input)
        observer.note_flow(result)

    async def submit_failing(user_input: dict[str, Any]) -> None:
        step = result["step_id"]
        for fault in faults(world):
            rule = world.plex.faults.add(fault, path="/api/v2/users/signin")
            await submit(user_input)
            world.plex.faults.remove(rule)
            if result["step_id"] != step:
                await submit(credentials)
            assert result["step_id"] == step
        with pytest.MonkeyPatch.context() as patch:
            # Something that nobody thought of.
            patch.setattr(http, "_send", None)
            await submit(user_input)

    await submit({"next_step_id": "password"})
    advanced = {CONF_SERVER_URL: world.tv_url}
    credentials = {CONF_USERNAME: "ada", CONF_PASSWORD: PASSWORD, "advanced": advanced}
    await submit(credentials | {CONF_PASSWORD: WRONG_PASSWORD})
    await submit_failing(credentials)
    await submit(credentials)
    assert result["step_id"] == "two_factor"
    await submit({CONF_CODE: WRONG_CODE})
    await submit_failing({CONF_CODE: CODE})
    await submit({CONF_CODE: CODE})
    await world.settle()
    (entry,) = world.hass.config_entries.async_entries(DOMAIN)
    return entry


async def link_again(observer: Observer) -> None:
    """Sign in again, by a link code."""
    world = observer.world
    flows = world.hass.config_entries.flow
    (flow,) = flows.async_progress()
    result = await flows.async_configure(flow["flow_id"], {"next_step_id": "link"})
    observer.note_flow(result)
    for path in ("/api/v2/pins/*", "/api/v2/user"):
        rule = world.plex.faults.add(
            error(500, message=world.plex.secrets[-1]), path=path
        )
        if path.startswith("/api/v2/pins"):
            world.plex.claim_pin(world.plex.tv.pins[-1].code, world.ada)
        await until(partial(has_struck, rule))
        world.plex.faults.remove(rule)
    await until(lambda: flows.async_get(flow["flow_id"])["step_id"] == "pin_done")
    observer.note_flow(await flows.async_configure(flow["flow_id"]))
    await world.settle()


def has_struck(rule: Rule) -> bool:
    """Return if a fault has happened, and happened again."""
    return rule.hits > 1


async def use(observer: Observer) -> None:
    """Call every action, look at the picture and press the button."""
    world = observer.world
    shared = {"source": f"server://{world.plex.servers[-1].machine_identifier}"}
    for doing in (
        world.call("get_user_details", refresh=True),
        world.call("get_sources"),
        world.call("get_transient_token", device_id=world.device_id, refresh=True),
        world.look_up(refresh=True),
        world.call("get_source_connection_information", **shared),
        world.call("get_source_connection_information", source="provider://x"),
        world.call("get_source_connection_information", source="x"),
        press(world),
        world.server.async_refresh(),
    ):
        await observer.failing(doing)
    await world.settle()


async def dump_database(hass: HomeAssistant, recorder: Recorder) -> list[str]:
    """Return every row of every table."""
    await async_wait_recording_done(hass)

    def dump() -> list[str]:
        assert recorder.engine
        metadata = MetaData()
        metadata.reflect(recorder.engine)
        with recorder.engine.connect() as connection:
            return [
                str(row)
                for table in metadata.sorted_tables
                for row in connection.execute(select(table))
            ]

    return await recorder.async_add_executor_job(dump)


async def test_whole_life(
    recorder_mock: Recorder,
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    hass_client: ClientSessionGenerator,
    every_logger: None,
    world: World,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing that comes out in the whole life of an account holds a secret."""
    plex, ada, attic = world.plex, world.ada, world.attic
    ada.verification_code = plex.secrets.keep(CODE)
    plex.secrets += [WRONG_CODE, WRONG_PASSWORD]
    plex.tv.failures_allowed = 100
    grace = plex.add_account("grace", password="password-grace-admiral")
    library = await plex.add_server("Library", owner=grace)
    library.listing.connections = [Connection.at(library.url)]
    plex.share(library, ada, public_address_matches=True)
    await plex.add_server("Old laptop", owner=ada, stale=True)
    plex.servers.append(plex.servers.pop(plex.servers.index(library)))
    # The harness logs what is stored, Home Assistant does not.
    caplog.set_level(logging.INFO, "pytest_homeassistant_custom_component.common")
    # Last, as that is also what is recorded of others.
    caplog.set_level(logging.DEBUG)
    for component in ("http", "system_health", "diagnostics"):
        assert await async_setup_component(hass, component, {})
    observer = Observer(world)

    entry = await sign_in(observer)
    await use(observer)
    # Renewals of each kind.
    await attic.restart()
    await use(observer)
    (token,) = plex.tv.tokens_of(ada)
    plex.tv.rotate(token)
    await world.account.async_refresh()
    attic.revoke(ada)
    await use(observer)
    # Failures of each kind, everywhere.
    for host in ("Attic", "plex.tv", "Library"):
        for fault in faults(world):
            rule = plex.faults.add(fault, host=host)
            await use(observer)
            await observer.failing(world.account.async_refresh())
            plex.faults.remove(rule)
            await world.account.async_refresh()
            await world.server.async_refresh()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "_send", None)
        await world.account.async_refresh()
        await world.server.async_refresh()
    attic.claimed = False
    await use(observer)
    observer.found["repairs"] += [
        repr(issue) for issue in ir.async_get(hass).issues.values()
    ]
    attic.claimed = True
    for flow in hass.config_entries.flow.async_progress():
        hass.config_entries.flow.async_abort(flow["flow_id"])
    plex.sign_out_everywhere(ada)
    await observer.failing(world.call("get_user_details", refresh=True))
    await world.settle()
    await link_again(observer)
    await use(observer)

    browser = await hass_client()
    picture = await browser.get(f"/api/image_proxy/{AVATAR}")
    assert picture.status == HTTPStatus.OK
    found = observer.found
    found["diagnostics"].append(
        json_dumps(await get_diagnostics_for_config_entry(hass, hass_client, entry))
    )
    registry = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        dump = await get_diagnostics_for_device(hass, hass_client, entry, device)
        found["diagnostics"].append(json_dumps(dump))
    health = await get_system_health_info(hass, DOMAIN)
    health["can_reach_plex"] = await health["can_reach_plex"]
    found["system health"].append(str(health))
    for store in (
        hass.config_entries._store,
        dr.async_get(hass)._store,
        ir.async_get(hass)._store,
    ):
        await flush_store(store)
    observer.note_storage(hass_storage)
    # The one place where it may be, and must be.
    assert entry.data[CONF_TOKEN] in json_dumps(hass_storage["core.config_entries"])

    plex.faults.add(error(500, message=PASSWORD), path="/api/v2/users/signout")
    await hass.config_entries.async_remove(entry.entry_id)
    await world.settle()
    assert f"{DOMAIN}.{entry.entry_id}" not in hass_storage
    observer.note_storage(hass_storage)
    found["log"].append(caplog.text)
    found["recorder"] += await dump_database(hass, recorder_mock)
    assert set(found) == {
        *("event bus", "states", "exceptions", "dialogs", ".storage", "log"),
        *("diagnostics", "system health", "repairs", "recorder"),
    }
    assert all(any(texts) for texts in found.values())
    assert "DEBUG" in caplog.text
    assert "Unexpected error while signing in" in caplog.text
    assert len(plex.secrets) > 50
    assert observer.leaks() == []
    check_requests(observer)
    caplog.clear()


def check_requests(observer: Observer) -> None:
    """Check that no host got what it should not have."""
    world = observer.world
    hosts = {"plex.tv", *(server.label for server in world.plex.servers)}
    introduced: set[tuple[str, int]] = set()
    kinds: set[str] = set()
    for request in world.plex.requests:
        assert request.host in hosts
        kinds.add(request.token.partition("-")[0])
        check_request(observer, request, introduced)
    assert kinds == {"", "tv", "server", "transient"}


def check_request(
    observer: Observer, request: Received, introduced: set[tuple[str, int]]
) -> None:
    """Check that a host may have what it got."""
    # Addresses end up in logs, so there are no secrets in them.
    assert not [
        secret
        for secret in observer.world.plex.secrets
        if secret in request.path or secret in str(dict(request.query))
    ]
    signing_in = request.path == "/api/v2/users/signin"
    assert bool(request.form.get("password")) == signing_in
    if signing_in or request.path.startswith(("/users/", "/api/v2/pins")):
        assert request.host == "plex.tv"
        assert not request.token or request.path.startswith("/api/v2/pins/")
    elif (request.host, request.path) == ("plex.tv", "/"):
        # System information looks whether anybody is there.
        assert not request.token
    elif request.path == "/identity":
        assert not request.token
        introduced.add((request.host, request.port))
    elif request.host == "plex.tv":
        assert request.token.startswith("tv-token-")
    else:
        # Only the server that made it, and only after it has said who it is.
        assert observer.makers[request.token] == request.host
        assert (request.host, request.port) in introduced


async def test_somebody_else_moved_in(world: World) -> None:
    """Where another server answers now, nobody sends it what it should not have.

    Without encryption it is asked who it is; with it, that is known without asking.
    """
    plex, attic = world.plex, world.attic
    plain = attic.add_listener()
    await plain.start()
    attic.listing.connections = [Connection.at(plain.url)]
    grace = plex.add_account("grace", password=None)
    library = await plex.add_server("Library", owner=grace)
    library.listing.connections = [Connection.at(library.url)]
    plex.share(library, world.ada, public_address_matches=True)
    await world.set_up()
    observer = Observer(world)
    await use(observer)
    for server in (attic, library):
        listener = server.listeners[-1]
        await server.close()
        impostor = await plex.add_server(f"Not {server.name}", owner=grace)
        await impostor.add_listener(port=listener.port).start()
    await use(observer)
    observer.note_makers()
    assert plex.requests.matching(host="Not Attic", path="/identity")
    assert not plex.requests.matching(host="Not Attic", path="/[!i]*")
    asked = plex.requests.matching(host="Not *")
    assert {(request.host, request.token) for request in asked} == {("Not Attic", "")}
    check_requests(observer)
