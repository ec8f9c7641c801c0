"""Tests of what README, docs and blueprints promise: each example is run as it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
import re
import sys
from textwrap import dedent
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlsplit

from freezegun.api import TickingDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
import voluptuous as vol
from yarl import URL

from custom_components.plex_account.api.connections import (
    BETTER_TIER_GRACE,
    PROBE_TIMEOUT,
)
from custom_components.plex_account.api.http import MAX_RETRIES, TOTAL_TIMEOUT
from custom_components.plex_account.const import DOMAIN, TROUBLESHOOTING_URL
from custom_components.plex_account.coordinator import (
    ACCOUNT_UPDATE_INTERVAL,
    PING_INTERVAL,
)
from custom_components.plex_account.server_coordinator import (
    BETTER_CONNECTION_INTERVAL,
    SERVER_UPDATE_INTERVAL,
    TRANSIENT_TOKEN_RENEWAL_AGE,
)
from homeassistant.components.automation.helpers import async_get_blueprints
from homeassistant.components.blueprint.models import Blueprint, DomainBlueprints
from homeassistant.components.media_player import async_process_play_media_url
from homeassistant.components.media_source import async_resolve_media
from homeassistant.const import STATE_ON, EntityCategory
from homeassistant.core import Context, HomeAssistant, ServiceCall
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.selector import selector
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml_dict, parse_yaml

from . import Tick, device_id_of, perform, setup_integration, state_of, until
from .conftest import entry_of
from .const import CLIENT_IDENTIFIER, PASSWORD, PHONE, PLEX_DIRECT, SERVER_POLL
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    MediaServer,
    PlexEmulator,
)
from .plex_emulator.library import FILE
from .translations import TRANSLATIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / name
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
] + sorted((ROOT / "docs").glob("*.md"))
DOCS = "\n".join(page.read_text() for page in PAGES)
REPOSITORY = "plex-account/plex_account"
BLUEPRINTS = ROOT / "blueprints" / "automation"
BLUEPRINT_PATHS = sorted(
    str(path.relative_to(BLUEPRINTS)) for path in BLUEPRINTS.rglob("*.yaml")
)
PLAYER = "media_player.plex_den"
TELEVISION = "media_player.den_tv"
CONNECTIVITY = "binary_sensor.keller_connectivity"
LOCAL, REMOTE, RELAY = "192.168.1.5", "203.0.113.8", "198.51.100.5"
# The film that every server has.
RATING_KEY = 42

# What is in the README


@dataclass(frozen=True)
class Block:
    """A block of code, and the headings that it stands below."""

    heading: str
    language: str
    text: str

    @property
    def data(self) -> dict[str, Any]:
        """Return what it is as YAML."""
        data = parse_yaml(self.text)
        assert isinstance(data, dict)
        return data


def read_blocks() -> Iterator[Block]:
    """Read the blocks of code of all pages."""
    heading = ""
    pattern = (
        r"^#{2,3} (?P<heading>[^\n]*)$|^ *```(?P<language>\w+)\n(?P<text>.*?)^ *```$"
    )
    for match in re.finditer(pattern, DOCS, re.MULTILINE | re.DOTALL):
        if match["heading"]:
            heading = match["heading"]
        else:
            yield Block(heading, match["language"], dedent(match["text"]))


def section(heading: str, text: str = DOCS) -> str:
    """Return the text below a heading, up to the next one of any level."""
    (rest,) = re.findall(rf"^#+ {re.escape(heading)}\n([^\0]*)", text, re.MULTILINE)
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str, *columns: str) -> list[dict[str, str]]:
    """Return the rows of the table that has these columns."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    start = rows.index(list(columns))
    found: list[dict[str, str]] = []
    for row in rows[start + 2 :]:
        assert len(row) == len(columns), row
        found.append(dict(zip(columns, row, strict=True)))
    return found


BLOCKS = list(read_blocks())
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]
EXAMPLES = {
    str(block.data["alias"]): block for block in YAML_BLOCKS if "alias" in block.data
}
# Each with its response.
ACTIONS = {
    str(block.data["action"]).removeprefix(f"{DOMAIN}."): (block, response)
    for block, response in pairwise(YAML_BLOCKS)
    if "action" in block.data
}
CONFIGURATIONS = {
    str(next(iter(block.data))): block
    for block in YAML_BLOCKS
    if len(block.data) == 1
    and block not in [response for _, response in ACTIONS.values()]
}
ENGLISH = TRANSLATIONS["en"]
SERVICES = load_yaml_dict(str(ROOT / "custom_components" / DOMAIN / "services.yaml"))


# A home in which the examples run. All names differ from those of the README.


@dataclass(frozen=True)
class Home:
    """An account with two servers of its own, and one that is shared with it."""

    entry: MockConfigEntry
    server: MediaServer
    shared: MediaServer
    replacements: dict[str, str]

    def example(self, alias: str) -> dict[str, Any]:
        """Return an example, with what the README says to replace replaced."""
        text = EXAMPLES[alias].text
        for theirs, ours in self.replacements.items():
            text = text.replace(theirs, ours)
        data = parse_yaml(text)
        assert isinstance(data, dict)
        return data


async def listen(
    server: MediaServer, authority: CertificateAuthority, addresses: list[str]
) -> None:
    """Let a server be reached by HTTPS at names for these addresses."""
    context = authority.server_context(f"*.{PLEX_DIRECT}")
    listener = server.add_listener(ssl_context=context)
    await listener.start()
    server.listing.connections = [
        Connection.plex_direct(
            address,
            listener.port,
            domain=PLEX_DIRECT,
            local=address == LOCAL,
            relay=address == RELAY,
        )
        for address in addresses
    ]


@pytest.fixture
def addresses() -> list[str]:
    """Return where the server is, the worst address first."""
    return [RELAY, REMOTE, LOCAL]


@pytest.fixture
async def home(
    hass: HomeAssistant,
    freezer: TickingDateTimeFactory,
    plex: PlexEmulator,
    authority: CertificateAuthority,
    names: None,
    addresses: list[str],
) -> Home:
    """Return a home with an account that is set up, and a clock that can be set."""
    hopper = plex.add_account("hopper", password=PASSWORD, plex_pass=True)
    friend = plex.add_account("friend", password=None)
    server = await plex.add_server("Keller", owner=hopper)
    await plex.add_server("Speicher", owner=hopper)
    shared = await plex.add_server("Sommerhaus", owner=friend)
    plex.share(shared, hopper)
    await listen(server, authority, addresses)
    await listen(shared, authority, [LOCAL, REMOTE])
    entry = entry_of(plex, hopper, CLIENT_IDENTIFIER)
    await setup_integration(hass, entry)
    replacements = {
        "binary_sensor.attic_connectivity": CONNECTIVITY,
        "sensor.attic_remote_access": "sensor.keller_remote_access",
        "media_player.plex_living_room": PLAYER,
        "media_player.living_room_tv": TELEVISION,
        "notify.mobile_app_phone": "notify.mobile_app_nokia",
        "The Tale of Peter Rabbit": "Metropolis",
    }
    return Home(entry, server, shared, replacements)


async def add_automation(hass: HomeAssistant, config: dict[str, Any]) -> None:
    """Let Home Assistant have an automation, as its editor saves it."""
    config = {"id": "example"} | config
    assert await async_setup_component(hass, "automation", {"automation": [config]})
    (entity_id,) = hass.states.async_entity_ids("automation")
    # It is unavailable if Home Assistant does not understand it.
    assert state_of(hass, entity_id) == STATE_ON


async def add_script(hass: HomeAssistant, config: dict[str, Any]) -> Callable[..., Any]:
    """Let Home Assistant have a script, and return what runs it for its response."""
    assert await async_setup_component(hass, "script", {"script": {"example": config}})
    assert hass.services.has_service("script", "example")

    async def run(*, response: bool, user_id: str | None = None, **data: Any) -> Any:
        """Run the script as a user or an automation does."""
        return await hass.services.async_call(
            "script",
            "example",
            data,
            blocking=True,
            return_response=response,
            context=Context(user_id=user_id),
        )

    return run


async def play(hass: HomeAssistant, key: int | None, **attributes: str) -> None:
    """Let a Plex media player play something, or nothing any more."""
    if key is not None:
        attributes |= {"friendly_name": "Plex (den)"}
        values: dict[str, Any] = attributes | {"media_content_id": key}
        hass.states.async_set(PLAYER, "playing", values)
    else:
        hass.states.async_set(PLAYER, "idle", {})
    await hass.async_block_till_done()


async def statuses(hass: HomeAssistant, url: str) -> tuple[int, int]:
    """Return what a server answers to a URL, and to it without its token."""
    answers: list[int] = []
    for target in (URL(url), URL(url).with_query(None)):
        async with async_get_clientsession(hass).get(target) as response:
            answers.append(response.status)
    return answers[0], answers[1]


async def assert_works(hass: HomeAssistant, url: str, address: str, path: str) -> None:
    """Check that a server gives what is at a URL, for the token in it."""
    host = URL(url).host
    assert host == f"{address.replace('.', '-')}.{PLEX_DIRECT}"
    assert URL(url).path == path
    assert URL(url).query.keys() == {"X-Plex-Token"}
    assert URL(url).query["X-Plex-Token"].startswith("transient-")
    assert await statuses(hass, url) == (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)


def shown(call: ServiceCall) -> dict[str, Any]:
    """Return the data of a call."""
    return dict(call.data)


# The examples


def test_every_example_is_run() -> None:
    """There is a test below for each of them."""
    assert set(EXAMPLES) == {
        "Poster of what is playing",
        "Bedtime story in the living room",
        "Play something from Plex",
        "Plex server unreachable",
        "Plex remote access lost",
        "Find a shared Plex server",
    }
    assert set(CONFIGURATIONS) == {"recorder", "logger"}
    covered = len(EXAMPLES) + len(CONFIGURATIONS) + 2 * len(ACTIONS)
    assert covered == len(YAML_BLOCKS)
    assert set(BLUEPRINT_PATHS) == {
        f"{DOMAIN}/{name}.yaml"
        for name in ("play_on_cast", "poster_notification", "server_unreachable")
    }


def test_what_to_replace(home: Home) -> None:
    """The pages tell all that has to be replaced, and nothing else is."""
    told = table(section("Automations to paste"), "In the examples", "Put in its place")
    assert [row["In the examples"] for row in told] == [
        f"`{theirs}`" for theirs in home.replacements
    ]
    for alias in EXAMPLES:
        text = str(home.example(alias))
        assert "attic" not in text.lower()
        assert not re.search(r"\bada\b|_ada_|\.ada_", text)
    used = "".join(block.text for block in EXAMPLES.values())
    assert not [theirs for theirs in home.replacements if theirs not in used]


@pytest.mark.parametrize("domain", CONFIGURATIONS)
async def test_configuration(domain: str) -> None:
    """What goes into configuration.yaml is understood."""
    component = import_module(f"homeassistant.components.{domain}")
    assert component.CONFIG_SCHEMA(CONFIGURATIONS[domain].data)


async def test_template(hass: HomeAssistant, home: Home) -> None:
    """A template gives the identifier of the account."""
    (block,) = (block for block in BLOCKS if block.language == "jinja")
    text = block.text.replace("ada", "hopper")
    assert Template(text, hass).async_render() == home.entry.entry_id


async def assert_poster(client: ClientSessionGenerator, path: str) -> None:
    """Check that a phone, which has no account, gets a poster of Home Assistant."""
    async with (await client()).get(path) as answer:
        assert (answer.status, answer.content_type) == (HTTPStatus.OK, "image/jpeg")


async def test_poster(
    hass: HomeAssistant, home: Home, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """The poster comes from Home Assistant, once for each item."""
    notifications = async_mock_service(hass, "notify", "mobile_app_nokia")
    await play(hass, None)
    await add_automation(hass, home.example("Poster of what is playing"))
    await play(hass, RATING_KEY)
    (notification,) = notifications
    assert shown(notification) == {
        "title": "Metropolis",
        "message": "Now playing in the living room",
        "data": notification.data["data"],
    }
    await assert_poster(hass_client_no_auth, notification.data["data"]["image"])

    # Neither a pause nor the end of it is news.
    hass.states.async_set(PLAYER, "paused", {"media_content_id": RATING_KEY})
    await play(hass, RATING_KEY)
    await play(hass, None)
    assert len(notifications) == 1
    await play(hass, RATING_KEY)
    assert len(notifications) == 2


@pytest.fixture
def evening(freezer: TickingDateTimeFactory) -> None:
    """Let it be half past seven soon, from before anything is set up."""
    freezer.move_to(dt_util.now().replace(hour=19, minute=29, second=30))


async def test_title_on_a_player(
    hass: HomeAssistant,
    evening: None,
    home: Home,
    tick: Tick,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """The player is told what to play, which Home Assistant has."""
    played = async_mock_service(hass, "media_player", "play_media")
    await add_automation(hass, home.example("Bedtime story in the living room"))
    await hass.async_block_till_done()
    assert not played
    await tick(timedelta(seconds=31))
    # It would wait for tomorrow.
    await hass.services.async_call(
        "automation", "turn_off", {"entity_id": "all"}, blocking=True
    )
    await assert_played(hass, hass_client_no_auth, played)


async def assert_played(
    hass: HomeAssistant, client: ClientSessionGenerator, played: list[ServiceCall]
) -> None:
    """Check that the player that was told to play gets the film."""
    (call,) = played
    assert shown(call) == {
        "entity_id": [TELEVISION],
        "media_content_id": call.data["media_content_id"],
        "media_content_type": "video",
    }
    await async_setup_component(hass, "media_source", {})
    media = await async_resolve_media(hass, call.data["media_content_id"], TELEVISION)
    assert media.mime_type == "video/mp4"
    url = async_process_play_media_url(hass, media.url, allow_relative_url=True)
    async with (await client()).get(url) as answer:
        assert await answer.read() == FILE


async def test_item_on_a_player(
    hass: HomeAssistant, home: Home, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """A title is played, and an unknown one is told."""
    played = async_mock_service(hass, "media_player", "play_media")
    run = await add_script(hass, home.example("Play something from Plex"))
    await run(response=False, title="metro", player=TELEVISION)
    await assert_played(hass, hass_client_no_auth, played)
    told = async_mock_service(hass, "persistent_notification", "create")
    await run(response=False, title="Nobody's", player=TELEVISION)
    (call,) = told
    message = (
        "No Plex server that can be reached has a film, an episode or a song that is "
        "called Nobody's."
    )
    assert shown(call)["message"] == message


async def warning_after_ten_minutes(
    tick: Tick, warnings: list[ServiceCall]
) -> dict[str, Any]:
    """Let ten minutes pass, and return the warning that comes then and not before."""
    await tick(timedelta(minutes=9, seconds=50))
    assert not warnings
    await tick(timedelta(seconds=15))
    (warning,) = warnings
    return shown(warning)


async def test_unreachable(hass: HomeAssistant, home: Home, tick: Tick) -> None:
    """A warning comes once a server has been away for ten minutes, not before."""
    warnings = async_mock_service(hass, "persistent_notification", "create")
    await add_automation(hass, home.example("Plex server unreachable"))
    await home.server.stop()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == "off"
    assert await warning_after_ten_minutes(tick, warnings) == {
        "title": "Keller is unreachable",
        "message": (
            "Home Assistant has not reached the Plex Media Server for ten minutes."
        ),
    }


async def test_remote_access_lost(hass: HomeAssistant, home: Home, tick: Tick) -> None:
    """A warning comes once a server is not found from outside, not if it is gone."""
    warnings = async_mock_service(hass, "persistent_notification", "create")
    await add_automation(hass, home.example("Plex remote access lost"))
    sensor = "sensor.keller_remote_access"
    await until(lambda: state_of(hass, sensor) == "available")
    await home.server.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == "off")
    await tick(timedelta(minutes=6))
    assert not warnings
    await home.server.start()
    await tick(SERVER_POLL)
    await until(lambda: state_of(hass, sensor) == "available")
    await until(lambda: bool(home.server.push.sockets))
    await home.server.map_port("mapped", "unreachable")
    await until(lambda: state_of(hass, sensor) == "unreachable")
    await tick(timedelta(minutes=6))
    (warning,) = warnings
    assert shown(warning)["title"] == "Keller can't be reached from outside"


async def test_away_for_a_moment(hass: HomeAssistant, home: Home, tick: Tick) -> None:
    """A server that is back in time is no reason to warn."""
    warnings = async_mock_service(hass, "persistent_notification", "create")
    await add_automation(hass, home.example("Plex server unreachable"))
    await home.server.stop()
    await tick(SERVER_POLL)
    await home.server.start()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    await tick(timedelta(minutes=10))
    assert not warnings


async def test_shared_server(hass: HomeAssistant, home: Home) -> None:
    """A shared server is found by its name, with an address and a token that work."""
    run = await add_script(hass, home.example("Find a shared Plex server"))
    response = await run(response=True, server_name="Sommerhaus")
    _, documented = ACTIONS["get_source_connection_information"]
    assert response.keys() == documented.data.keys()
    assert response["client_identifier"] == home.shared.machine_identifier
    url = f"{response['preferred_uri']}/?X-Plex-Token={response['access_token']}"
    await assert_works(hass, url, REMOTE, "/")


async def test_no_such_shared_server(
    hass: HomeAssistant, home: Home, plex: PlexEmulator
) -> None:
    """Who asks for an unknown one is told so."""
    run = await add_script(hass, home.example("Find a shared Plex server"))
    asked = len(plex.requests)
    with pytest.raises(ServiceValidationError, match="is not a Plex source"):
        await run(response=True, server_name="Nobody's")
    assert len(plex.requests) == asked


@pytest.mark.parametrize("alias", EXAMPLES)
def test_no_trace_of_a_token(alias: str) -> None:
    """Where a token passes through an example, no trace of it is kept."""
    has_token = re.search(r"\w+\.(get_transient|get_source_conn)", EXAMPLES[alias].text)
    stored = EXAMPLES[alias].data.get("trace", {}).get("stored_traces")
    assert stored == (0 if has_token else None)


# The blueprints


@pytest.fixture
def blueprints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Home Assistant find the blueprints as if they had been imported."""
    monkeypatch.setattr(DomainBlueprints, "blueprint_folder", BLUEPRINTS)


async def add_from_blueprint(
    hass: HomeAssistant, name: str, inputs: dict[str, Any]
) -> None:
    """Let Home Assistant have an automation made from a blueprint."""
    path = f"{DOMAIN}/{name}.yaml"
    blueprint = await async_get_blueprints(hass).async_get_blueprint(path)
    for key, value in inputs.items():
        vol.Schema(selector(blueprint.inputs[key]["selector"]))(value)
    await add_automation(
        hass, {"alias": name, "use_blueprint": {"path": path, "input": inputs}}
    )


@pytest.mark.parametrize("path", BLUEPRINT_PATHS)
async def test_blueprint(hass: HomeAssistant, blueprints: None, path: str) -> None:
    """Home Assistant takes each, and people are told what each input is for."""
    blueprint = await async_get_blueprints(hass).async_get_blueprint(path)
    assert isinstance(blueprint, Blueprint)
    assert blueprint.validate() is None
    assert blueprint.domain == "automation"
    assert blueprint.metadata["name"]
    assert blueprint.metadata["description"]
    assert blueprint.metadata["homeassistant"] == {"min_version": "2026.10.0"}
    assert blueprint.metadata["source_url"] == (
        f"https://github.com/{REPOSITORY}/blob/main/blueprints/automation/{path}"
    )
    for item in blueprint.inputs.values():
        assert item["name"]
        assert item["description"]
        validate = vol.Schema(selector(item["selector"]))
        if "default" in item:
            validate(item["default"])


@pytest.fixture
async def phone(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the device of a phone with the companion app."""
    # What the app's integration imports asks for much that is only installed where a
    # real process is run, and plays no part here.
    for name, library in (
        ("camera", "turbojpeg"),
        ("cloud", "hassil"),
        ("conversation", "hassil"),
    ):
        if find_spec(library) is None:
            module = Mock(async_is_logged_in=Mock(return_value=False))
            monkeypatch.setitem(sys.modules, f"homeassistant.components.{name}", module)
    entry = MockConfigEntry(
        domain="mobile_app",
        title="Nokia",
        data=PHONE
        | {
            "app_data": {"push_token": "token", "push_url": "https://push.invalid"},
            "user_id": "nobody",
            "webhook_id": "nokia-webhook",
        },
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert hass.services.has_service("notify", "mobile_app_nokia")
    return device.id


async def test_poster_blueprint(
    hass: HomeAssistant,
    home: Home,
    blueprints: None,
    phone: str,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """The notification has the poster, unless the server does not answer."""
    notifications = async_mock_service(hass, "notify", "mobile_app_nokia")
    await play(hass, None)
    await add_from_blueprint(
        hass,
        "poster_notification",
        {
            "players": [PLAYER],
            "server": device_id_of(hass, home.entry, home.server.machine_identifier),
            "phone": phone,
        },
    )
    await play(hass, RATING_KEY, media_title="The Cellar", media_series_title="Houses")
    (notification,) = notifications
    data = notification.data["data"]
    assert shown(notification) == {
        "title": "Houses",
        "message": "The Cellar · Plex (den)",
        "target": "nokia-webhook",
        "data": data,
    }
    assert data.keys() == {"image"}
    await assert_poster(hass_client_no_auth, data["image"])
    await play(hass, None)
    await home.server.stop()
    await play(hass, RATING_KEY, media_title="Metropolis (1927)")
    await until(lambda: len(notifications) == 2)
    assert notifications[1].data["title"] == "Metropolis (1927)"
    assert notifications[1].data["message"] == "Plex (den)"
    assert notifications[1].data["data"] == {}


async def test_play_blueprint(
    hass: HomeAssistant,
    home: Home,
    blueprints: None,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """The player is told what to play, which Home Assistant has."""
    played = async_mock_service(hass, "media_player", "play_media")
    await add_from_blueprint(
        hass,
        "play_on_cast",
        {
            "triggers": [{"trigger": "event", "event_type": "bell"}],
            "server": device_id_of(hass, home.entry, home.server.machine_identifier),
            "title": "Metropolis",
            "player": TELEVISION,
        },
    )
    hass.bus.async_fire("bell")
    await until(lambda: bool(played))
    await assert_played(hass, hass_client_no_auth, played)


async def test_unreachable_blueprint(
    hass: HomeAssistant, home: Home, blueprints: None, tick: Tick
) -> None:
    """A warning tells which server it is, and since when."""
    warnings = async_mock_service(hass, "persistent_notification", "create")
    servers = [CONNECTIVITY, "binary_sensor.speicher_connectivity"]
    await add_from_blueprint(hass, "server_unreachable", {"servers": servers})
    await home.server.stop()
    await tick(SERVER_POLL)
    since = dt_util.now().strftime("%H:%M")
    assert await warning_after_ten_minutes(tick, warnings) == {
        "title": "Keller is unreachable",
        # In which there is no name, as it is Markdown.
        "message": (
            f"Home Assistant has not reached this Plex Media Server since {since}."
        ),
        "notification_id": "plex_account_keller",
    }


async def test_unreachable_blueprint_with_other_actions(
    hass: HomeAssistant, home: Home, blueprints: None, tick: Tick
) -> None:
    """Who is told, and after how long, can be chosen."""
    messages = async_mock_service(hass, "notify", "mobile_app_nokia")
    message = {"message": "{{ server }}"}
    await add_from_blueprint(
        hass,
        "server_unreachable",
        {
            "servers": [CONNECTIVITY],
            "duration": {"seconds": 30},
            "actions": [{"action": "notify.mobile_app_nokia", "data": message}],
        },
    )
    await home.server.stop()
    await tick(SERVER_POLL)
    await tick(timedelta(seconds=35))
    assert [call.data["message"] for call in messages] == ["Keller"]


# The actions


def assert_same_shape(documented: Any, real: Any, path: str = "") -> None:
    """Check that a documented response has the keys and types of a real one."""
    if documented is None or real is None:
        return
    if isinstance(documented, dict):
        assert isinstance(real, dict), path
        assert list(documented) == list(real), path
        for key, value in documented.items():
            assert_same_shape(value, real[key], f"{path}.{key}")
    elif isinstance(documented, list):
        assert isinstance(real, list), path
        assert documented, path
        assert real, path
        for item in documented:
            assert_same_shape(item, real[0], f"{path}[]")
    else:
        kind = type(documented)
        # Home Assistant's reader of YAML has a string of its own.
        assert isinstance(real, str if issubclass(kind, str) else kind), path


def test_every_action_is_described() -> None:
    """The pages have an example of each action."""
    assert ACTIONS.keys() == SERVICES.keys()


@pytest.mark.parametrize("action", ACTIONS)
async def test_action(hass: HomeAssistant, home: Home, action: str) -> None:
    """The example of each action works, and has the response that is documented."""
    example, documented = ACTIONS[action]
    assert example.heading.endswith(f"`{DOMAIN}.{action}`")
    assert documented.heading == example.heading
    ours = {
        "config_entry_id": home.entry.entry_id,
        "device_id": device_id_of(hass, home.entry, home.server.machine_identifier),
        "source": home.server.name,
        "limit": 1,
    }
    data = {key: ours.get(key, value) for key, value in example.data["data"].items()}
    response = await perform(hass, action, **data)
    assert_same_shape(documented.data, response)


@pytest.mark.parametrize("action", ACTIONS)
def test_fields(action: str) -> None:
    """The pages have each field, whether it is needed and what it is by default."""
    rows = table(section(ACTIONS[action][0].heading), "Field", "Needed", "Meaning")
    fields = SERVICES[action]["fields"]
    assert {row["Field"] for row in rows} == {f"`{field}`" for field in fields}
    for row in rows:
        field = fields[row["Field"].strip("`")]
        if "default" in field:
            assert row["Needed"] == f"No, default `{str(field['default']).lower()}`"
        else:
            assert row["Needed"] != "Yes"


# The rest of what is told


async def test_entities(
    hass: HomeAssistant, ada: Account, loaded: MockConfigEntry
) -> None:
    """The table has every entity and no other; the entity ids are as it says."""
    rows = table(
        section("Entities"),
        "Entity",
        "Kind",
        "Device",
        "What it tells or does",
        "Off by default",
    )
    account = device_id_of(hass, loaded, ada.user.uuid)
    entities = er.async_entries_for_config_entry(er.async_get(hass), loaded.entry_id)
    diagnostic = {EntityCategory.DIAGNOSTIC: ", diagnostic", None: ""}
    assert {
        (row["Entity"], row["Kind"], row["Device"], row["Off by default"])
        for row in rows
    } == {
        (
            str(entity.original_name),
            entity.domain.replace("_", " ").capitalize()
            + diagnostic[entity.entity_category],
            "Account" if entity.device_id == account else "Server",
            "Yes" if entity.disabled_by else "No",
        )
        for entity in entities
    }
    assert len(rows) == len(entities)
    assert "`binary_sensor.attic_connectivity`" in DOCS
    assert hass.states.get("binary_sensor.attic_connectivity")


def test_figures() -> None:
    """The README has the figures of the code."""
    day = timedelta(days=1)
    assert timedelta(minutes=30) == ACCOUNT_UPDATE_INTERVAL
    assert timedelta(minutes=5) == SERVER_UPDATE_INTERVAL
    assert day == PING_INTERVAL
    assert timedelta(hours=44) == TRANSIENT_TOKEN_RENEWAL_AGE
    assert timedelta(minutes=30).total_seconds() == BETTER_CONNECTION_INTERVAL
    assert (PROBE_TIMEOUT, BETTER_TIER_GRACE) == (4, 0.25)
    assert (TOTAL_TIMEOUT, MAX_RETRIES) == (15, 2)
    to_plex_tv = 2 * day // ACCOUNT_UPDATE_INTERVAL + day // PING_INTERVAL
    to_server = day // SERVER_UPDATE_INTERVAL + 2 * day // ACCOUNT_UPDATE_INTERVAL
    words = " ".join(DOCS.split())
    assert f"{to_plex_tv} requests to plex.tv, and at most {to_server} to each" in words


def links(text: str) -> list[str]:
    """Return all that a page links to or shows."""
    return re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a page."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_pictures() -> None:
    """All pictures that there are are shown."""
    shown = {link.rpartition("/")[2] for link in links(DOCS) if link.endswith(".png")}
    assert shown == {path.name for path in (ROOT / "docs" / "images").glob("*.png")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links(page: Path) -> None:
    """All that is linked to within the repository is there."""
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def my_links(redirect: str) -> list[dict[str, str]]:
    """Return the parameters of the My Home Assistant buttons of a kind."""
    return [
        {key: value for key, (value,) in parse_qs(url.query).items()}
        for link in links(DOCS)
        if (url := urlsplit(link)).netloc == "my.home-assistant.io"
        and url.path == f"/redirect/{redirect}/"
    ]


def test_buttons() -> None:
    """The buttons open what stands beside them."""
    owner, _, repository = REPOSITORY.partition("/")
    assert my_links("hacs_repository") == [
        {"owner": owner, "repository": repository, "category": "integration"}
    ]
    assert my_links("config_flow_start") == [{"domain": DOMAIN}]
    assert {} in my_links("developer_services")
    raw = f"https://raw.githubusercontent.com/{REPOSITORY}/main/blueprints/automation"
    imported = [
        parameters["blueprint_url"] for parameters in my_links("blueprint_import")
    ]
    assert sorted(imported) == [f"{raw}/{path}" for path in BLUEPRINT_PATHS]


def test_repairs_lead_here() -> None:
    """Each repair has a heading that it links to."""
    page = "docs/troubleshooting.md"
    assert f"https://github.com/{REPOSITORY}/blob/main/{page}" == TROUBLESHOOTING_URL
    headings = anchors((ROOT / page).read_text())
    assert {key.replace("_", "-") for key in ENGLISH["issues"]} <= headings


def test_messages() -> None:
    """Messages are quoted as Home Assistant shows them."""
    text = section("Troubleshooting", (ROOT / "docs/troubleshooting.md").read_text())
    titles = [issue["title"] for issue in ENGLISH["issues"].values()]
    assert {row["Repair"] for row in table(text, "Repair", "What to do")} == {
        title.replace("{name}", "Attic") for title in titles
    }
    errors = ENGLISH["config"]["error"].values()
    for row in table(section("Signing in fails"), "Message", "What to do"):
        assert any(error.startswith(row["Message"]) for error in errors), row
    exceptions = ENGLISH["exceptions"]
    words = " ".join(DOCS.split())
    for key in ("server_unreachable", "not_accepted", "server_required"):
        message: str = exceptions[key]["message"]
        shown = message.format(name="Library", account="ada", count="2")
        assert f"*{shown.split('. ')[0]}" in words
