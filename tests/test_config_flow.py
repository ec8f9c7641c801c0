"""Tests of the config flow."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
import random
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from custom_components.plex_account import identity, pins
from custom_components.plex_account.api import http
from custom_components.plex_account.callback import async_register_callback
from custom_components.plex_account.const import (
    CONF_CLIENT_IDENTIFIER,
    CONF_SERVER_URL,
    DOMAIN,
)
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowContext,
    ConfigFlowResult,
)
from homeassistant.const import CONF_CODE, CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component

from . import PATIENCE, setup_integration, until
from .const import CLIENT_IDENTIFIER, PASSWORD, VERIFICATION_CODE
from .plex_emulator import (
    Account,
    Answer,
    Delay,
    Ending,
    Fault,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
    plex_tv,
)
from .plex_emulator.pictures import draw_qr_code
from .plex_emulator.replies import html_answer

SIGN_IN = "/api/v2/users/signin"
PINS = "/api/v2/pins"

type Frontend = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at link codes more often than plex.tv would like."""
    monkeypatch.setattr(pins, "POLL_INTERVAL", 0.01)
    monkeypatch.setattr(pins, "POLL_MAX_INTERVAL", 0.02)


@pytest.fixture
def lin(plex: PlexEmulator) -> Account:
    """Return an account that signed up with Google, so has no password."""
    return plex.add_account("lin", password=None)


async def start(
    hass: HomeAssistant, way: str, context: ConfigFlowContext | None = None
) -> ConfigFlowResult:
    """Start to add an account in one of the ways of the menu."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context=context or {"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "user"
    assert result["menu_options"] == ["browser", "link", "password"]
    return await choose(hass, result, way)


async def choose(
    hass: HomeAssistant, result: ConfigFlowResult, way: str
) -> ConfigFlowResult:
    """Choose one of the ways of a menu."""
    result = await configure(hass, result, {"next_step_id": way})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == way
    assert not result["errors"]
    return result


async def configure(
    hass: HomeAssistant, result: ConfigFlowResult, user_input: dict[str, Any]
) -> ConfigFlowResult:
    """Submit a step."""
    return await hass.config_entries.flow.async_configure(result["flow_id"], user_input)


def credentials(plex: PlexEmulator, **changes: str) -> dict[str, Any]:
    """Return what Ada types."""
    return {
        CONF_USERNAME: "ada",
        CONF_PASSWORD: PASSWORD,
        "advanced": {CONF_SERVER_URL: plex.url},
    } | changes


def with_code(plex: PlexEmulator) -> dict[str, Any]:
    """Return what somebody chooses who has no password."""
    return {"use_link": True, "advanced": {CONF_SERVER_URL: plex.url}}


def suggested(result: ConfigFlowResult) -> dict[str, Any]:
    """Return what the fields of a form are filled with."""
    values: dict[str, Any] = {}
    assert result["data_schema"]
    for marker, field in result["data_schema"].schema.items():
        if str(marker) == "advanced":
            values |= {
                str(inner): inner.description["suggested_value"]
                for inner in field.schema.schema
            }
        elif marker.description:
            values[str(marker)] = marker.description["suggested_value"]
    return values


def is_collapsed(result: ConfigFlowResult) -> bool:
    """Return if the address is hidden at first."""
    assert result["data_schema"]
    collapsed = result["data_schema"].schema["advanced"].options["collapsed"]
    assert isinstance(collapsed, bool)
    return collapsed


async def go_on(hass: HomeAssistant, result: ConfigFlowResult) -> ConfigFlowResult:
    """Go on as the frontend does when the waiting for a link code is over."""
    flow = hass.config_entries.flow
    await until(lambda: flow.async_get(result["flow_id"])["step_id"] == "pin_done")
    return await flow.async_configure(result["flow_id"])


async def test_password(hass: HomeAssistant, plex: PlexEmulator, ada: Account) -> None:
    """An account without two-factor authentication needs one form."""
    ada.user.title = "Countess"
    result = await start(hass, "password")
    assert suggested(result) == {CONF_SERVER_URL: "https://plex.tv"}

    result = await configure(hass, result, credentials(plex))
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Countess"
    entry = result["result"]
    assert entry.unique_id == ada.user.uuid
    assert entry.state is ConfigEntryState.LOADED
    (token,) = plex.tv.tokens_of(ada)
    assert entry.data == {
        CONF_TOKEN: token.text,
        CONF_CLIENT_IDENTIFIER: token.client_identifier,
        CONF_SERVER_URL: plex.url,
    }
    assert UUID(token.client_identifier).version == 4
    (sign_in,) = plex.requests.matching(path=SIGN_IN)
    assert sign_in.form == {"login": "ada", "password": PASSWORD, "rememberMe": "true"}
    assert sign_in.headers["X-Plex-Product"] == "Plex Account for Home Assistant"
    assert sign_in.headers["X-Plex-Device-Name"] == hass.config.location_name


@pytest.mark.parametrize("username", ["ada", ""])
async def test_title(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, username: str
) -> None:
    """An account without a name of its own is called as its user is."""
    ada.user.title, ada.user.username = "", username
    typed = credentials(plex, username=ada.user.email)
    result = await configure(hass, await start(hass, "password"), typed)
    assert result["title"] == (username or ada.user.uuid)


async def test_two_factor(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """A verification code is asked for after the right password, until it is right."""
    ada.verification_code = VERIFICATION_CODE
    result = await start(hass, "password")
    result = await configure(hass, result, credentials(plex))
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "two_factor"
    assert not result["errors"]

    sent = len(plex.requests)
    result = await configure(hass, result, {CONF_CODE: "  "})
    assert result["errors"] == {CONF_CODE: "required"}
    assert len(plex.requests) == sent

    result = await configure(hass, result, {CONF_CODE: "000000"})
    assert result["step_id"] == "two_factor"
    assert result["errors"] == {"base": "invalid_two_factor_code"}
    assert not suggested(result)

    result = await configure(hass, result, {CONF_CODE: "314 159"})
    await hass.async_block_till_done()

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert VERIFICATION_CODE not in str(result["result"].as_dict())
    assert PASSWORD not in str(result["result"].as_dict())
    # plex.tv takes every new identifier for a new device, and mails about it.
    sign_ins = plex.requests.matching(path=SIGN_IN)
    assert len({request.client_identifier for request in sign_ins}) == 1
    assert sign_ins[-1].form["verificationCode"] == VERIFICATION_CODE


async def test_two_factor_password_changed(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """If the password turns out to be wrong at the code, it is asked for again."""
    ada.verification_code = VERIFICATION_CODE
    result = await start(hass, "password")
    result = await configure(hass, result, credentials(plex))
    plex.change_password(ada, "password-ada-lovelace")

    result = await configure(hass, result, {CONF_CODE: VERIFICATION_CODE})
    assert result["step_id"] == "password"
    assert result["errors"] == {"base": "invalid_auth"}

    result = await configure(
        hass, result, credentials(plex, password="password-ada-lovelace")
    )
    assert result["step_id"] == "two_factor"
    result = await configure(hass, result, {CONF_CODE: VERIFICATION_CODE})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (error(401, code=1001), "invalid_auth"),
        (error(401, code=1001, kind="xml"), "invalid_auth"),
        (error(401, code=1031), "throttled"),
        (error(429, code=1003), "rate_limited"),
        (error(503, kind="html"), "cannot_connect"),
        (error(400, code=1000), "cannot_connect"),
        (Reply(html_answer(200, "Welcome to our wifi")), "cannot_connect"),
        (Vanish(), "cannot_connect"),
        (Vanish(Ending.SILENCE), "timeout_connect"),
    ],
)
async def test_password_errors(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    key: str,
) -> None:
    """Each error is named, keeps what was typed but secrets, and can be overcome."""
    result = await start(hass, "password")
    rule = plex.faults.add(fault, path=SIGN_IN)

    with monkeypatch.context() as patch:
        patch.setattr(http, "TOTAL_TIMEOUT", 0.2)
        result = await configure(hass, result, credentials(plex))
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "password"
    assert result["errors"] == {"base": key}
    assert suggested(result) == {CONF_USERNAME: "ada", CONF_SERVER_URL: plex.url}
    # A password is never sent twice by itself: that is how addresses get throttled.
    assert len(plex.requests.matching(path=SIGN_IN)) == 1

    plex.faults.remove(rule)
    result = await configure(hass, result, credentials(plex))
    await hass.async_block_till_done()
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("typed", [{}, {CONF_USERNAME: " ", CONF_PASSWORD: ""}])
async def test_empty_fields(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, typed: dict[str, str]
) -> None:
    """Empty fields are named, and plex.tv is not asked.

    The address is shown where it may be the reason, but not where it is the usual one.
    """
    result = await start(hass, "password")
    assert is_collapsed(result)
    for url in (plex.url, ""):
        advanced = {"advanced": {CONF_SERVER_URL: url}}
        result = await configure(hass, result, typed | advanced)
        assert result["errors"] == {
            CONF_USERNAME: "required",
            CONF_PASSWORD: "required",
        }
        assert is_collapsed(result) is not bool(url)
    assert not plex.requests


@pytest.mark.parametrize("way", ["password", "link"])
@pytest.mark.parametrize(
    "url",
    [
        "http://plex.tv",
        "http://192.168.1.2:8080",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@192.168.1.5",
        "ftp://127.0.0.1",
        "plex.tv",
        "https://",
        "https://ada:secret@plex.tv",
        "https://plex.tv?to=elsewhere",
        "https://plex.tv#elsewhere",
        "https://[::1",
    ],
)
async def test_unsafe_url(
    hass: HomeAssistant, plex: PlexEmulator, way: str, url: str
) -> None:
    """A password only goes where nobody can read it, and the section stays filled."""
    result = await start(hass, "password")
    advanced = {"advanced": {CONF_SERVER_URL: url}}
    typed = credentials(plex) if way == "password" else with_code(plex)
    result = await configure(hass, result, typed | advanced)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"advanced": "invalid_url"}
    assert suggested(result)[CONF_SERVER_URL] == url
    # What is wrong must be seen.
    assert not is_collapsed(result)
    assert not plex.requests


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_loopback_url(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    resolver: LoopbackResolver,
    host: str,
) -> None:
    """Plain HTTP is fine within this machine, and a slash at the end is dropped."""
    resolver.patterns.append("localhost")
    url = plex.url.replace("127.0.0.1", host)
    result = await start(hass, "password")
    result = await configure(
        hass, result, credentials(plex) | {"advanced": {CONF_SERVER_URL: f" {url}/ "}}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].data[CONF_SERVER_URL] == url


async def test_unknown_error(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What nobody thought of is logged with its trace, and told."""
    plex.faults.add(error(503))
    result = await start(hass, "password")
    with patch.object(random, "uniform", side_effect=LookupError):
        result = await configure(hass, result, credentials(plex))
    assert result["errors"] == {"base": "unknown"}
    assert "Unexpected error while signing in" in caplog.text
    assert PASSWORD not in caplog.text
    caplog.clear()


async def test_already_configured(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry
) -> None:
    """The same account twice is refused; the second sign-in is taken back."""
    config_entry.add_to_hass(hass)
    result = await start(hass, "password")
    result = await configure(hass, result, credentials(plex))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    (token,) = plex.tv.tokens
    assert token.text == config_entry.data[CONF_TOKEN]


async def test_two_accounts_at_once(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """Two people may sign in at the same time, as different devices."""
    grace = plex.add_account("grace", password="password-grace-admiral")
    first = await start(hass, "password")
    second = await start(hass, "password")
    first, second = await asyncio.gather(
        configure(hass, first, credentials(plex)),
        configure(
            hass,
            second,
            credentials(plex, username="grace", password="password-grace-admiral"),
        ),
    )
    await hass.async_block_till_done()
    assert first["result"].unique_id == ada.user.uuid
    assert second["result"].unique_id == grace.user.uuid
    identifiers = {token.client_identifier for token in plex.tv.tokens}
    assert len(identifiers) == 2


async def test_same_account_twice_at_once(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """Of two sign-ins to the same account one wins, and the other leaves no token."""
    first = await start(hass, "password")
    second = await start(hass, "password")
    results = await asyncio.gather(
        configure(hass, first, credentials(plex)),
        configure(hass, second, credentials(plex)),
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert sorted(result["type"] for result in results) == [
        FlowResultType.ABORT,
        FlowResultType.CREATE_ENTRY,
    ]
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    (token,) = plex.tv.tokens
    assert entry.data[CONF_TOKEN] == token.text


async def test_closed_while_signing_in(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """Closing the dialog while plex.tv signs in leaves no token behind."""
    plex.faults.add(Delay(0.1), path=SIGN_IN)
    result = await start(hass, "password")
    task = hass.async_create_task(configure(hass, result, credentials(plex)))
    await asyncio.sleep(0.05)
    hass.config_entries.flow.async_abort(result["flow_id"])
    with pytest.raises(UnknownFlow):
        await task
    assert plex.requests.matching(path="/api/v2/users/signout")
    assert not plex.tv.tokens
    assert not hass.config_entries.async_entries(DOMAIN)


@pytest.mark.parametrize("fault", [error(500), Vanish(Ending.SILENCE)])
async def test_sign_out_fails(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
) -> None:
    """A sign-out that fails is told in the log, and nothing waits for it."""
    monkeypatch.setattr(identity, "SIGN_OUT_TIMEOUT", 0.1)
    plex.faults.add(fault, path="/api/v2/users/signout")
    config_entry.add_to_hass(hass)
    result = await start(hass, "password")
    result = await configure(hass, result, credentials(plex))
    assert result["reason"] == "already_configured"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "Could not sign out of Plex" in caplog.text


async def test_link(hass: HomeAssistant, plex: PlexEmulator, lin: Account) -> None:
    """A code is shown until it is used; then the flow goes on by itself."""
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert result["step_id"] == "link_wait"
    assert result["progress_action"] == "link"
    (pin,) = plex.tv.pins
    assert len(pin.code) == 4
    assert result["description_placeholders"] == {
        "code": pin.code,
        "url": "https://plex.tv/link",
        "shown_url": "plex.tv/link",
        "minutes": "15",
        "qr_code": f"![](data:image/png;base64,{qr_code_of(pin.code)})",
        "again": "/config/integrations/dashboard/add?domain=plex_account",
    }
    # Asking again, as the frontend does, changes nothing.
    again = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert again["step_id"] == "link_wait"
    assert len(plex.tv.pins) == 1

    plex.claim_pin(pin.code, lin)
    result = await go_on(hass, result)

    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.title == "lin"
    assert entry.unique_id == lin.user.uuid
    (token,) = plex.tv.tokens_of(lin)
    assert entry.data == {
        CONF_TOKEN: token.text,
        CONF_CLIENT_IDENTIFIER: token.client_identifier,
        CONF_SERVER_URL: plex.url,
    }
    assert not plex.requests.matching(path=SIGN_IN)


def qr_code_of(code: str) -> str:
    """Return the picture that plex.tv has for a code."""
    return b64encode(draw_qr_code(code)).decode()


@pytest.mark.parametrize(
    "fault",
    [
        error(404, kind="html"),
        Vanish(),
        Vanish(Ending.SILENCE),
        Reply(Answer(200, b"<svg></svg>", "image/svg+xml")),
    ],
)
async def test_link_without_qr_code(
    hass: HomeAssistant,
    plex: PlexEmulator,
    lin: Account,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """The code will do if there is no picture of it."""
    monkeypatch.setattr(pins, "QR_CODE_TIMEOUT", 0.1)
    plex.faults.add(fault, path="/api/v2/pins/qr/*")
    result = await start(hass, "password")
    async with asyncio.timeout(PATIENCE):
        result = await configure(hass, result, with_code(plex))
    assert result["step_id"] == "link_wait"
    assert result["description_placeholders"]
    assert result["description_placeholders"]["qr_code"] == ""
    assert result["description_placeholders"]["code"] == plex.tv.pins[0].code
    hass.config_entries.flow.async_abort(result["flow_id"])


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (error(429, code=1003), "rate_limited"),
        (Vanish(), "cannot_connect"),
        (Reply(html_answer(200, "Welcome to our wifi")), "cannot_connect"),
    ],
)
async def test_link_errors(
    hass: HomeAssistant, plex: PlexEmulator, lin: Account, fault: Fault, key: str
) -> None:
    """If there is no code to be had, that is told."""
    result = await start(hass, "password")
    rule = plex.faults.add(fault, path=f"{PINS}*")
    advanced = with_code(plex)
    result = await configure(hass, result, advanced)
    assert result["step_id"] == "link"
    assert result["errors"] == {"base": key}
    plex.faults.remove(rule)
    # The address may be the reason, so it is shown.
    assert result["data_schema"]
    assert result["data_schema"].schema["advanced"].options == {"collapsed": False}
    result = await configure(hass, result, {})
    assert result["step_id"] == "link_wait"
    hass.config_entries.flow.async_abort(result["flow_id"])


@pytest.mark.parametrize(
    "fault",
    [
        error(429, code=1003, headers={"Retry-After": "0"}),
        error(500, kind="html"),
        Vanish(),
        Reply(html_answer(200, "Welcome to our wifi")),
    ],
)
@pytest.mark.parametrize("path", [f"{PINS}/*", "/api/v2/user"])
async def test_link_survives(
    hass: HomeAssistant, plex: PlexEmulator, lin: Account, fault: Fault, path: str
) -> None:
    """Trouble while waiting is waited out, also after the code was used."""
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    rule = plex.faults.add(fault, path=path)
    plex.claim_pin(plex.tv.pins[0].code, lin)
    await until(lambda: rule.hits > 0)
    plex.faults.remove(rule)
    result = await go_on(hass, result)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.unique_id == lin.user.uuid


@pytest.mark.parametrize("found", [False, True])
async def test_link_expires(
    hass: HomeAssistant,
    plex: PlexEmulator,
    lin: Account,
    monkeypatch: pytest.MonkeyPatch,
    found: bool,
) -> None:
    """A code that was not used in time is replaced, however plex.tv tells."""
    plex.tv.expired_pins_found = found
    if found:
        # Nothing but our own clock tells that it is over.
        monkeypatch.setattr(plex_tv, "SHORT_LIFETIME", 1.1)
        # Looks come after 0.01, 0.11 and 1.11 seconds, and so on.
        monkeypatch.setattr(pins, "POLL_BACKOFF", 10)
        monkeypatch.setattr(pins, "POLL_MAX_INTERVAL", 60)
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    plex.tv.expire_pins()
    result = await go_on(hass, result)
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "pin_expired"
    assert len(plex.requests.matching(path=f"{PINS}/*")) <= 4

    rule = plex.faults.add(Vanish(), path=f"{PINS}*")
    result = await configure(hass, result, {"next_step_id": "link"})
    assert result["step_id"] == "link"
    assert result["errors"] == {"base": "cannot_connect"}
    plex.faults.remove(rule)

    result = await configure(hass, result, {})
    assert result["step_id"] == "link_wait"
    assert result["description_placeholders"]
    assert result["description_placeholders"]["code"] == plex.tv.pins[-1].code
    plex.claim_pin(plex.tv.pins[-1].code, lin)
    result = await go_on(hass, result)
    assert hass.config_entries.async_entries(DOMAIN)


async def test_link_expires_claimed(
    hass: HomeAssistant,
    plex: PlexEmulator,
    lin: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A code that was used, but nobody knows by whom, leaves no token behind."""
    monkeypatch.setattr(plex_tv, "SHORT_LIFETIME", 1.1)
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    plex.faults.add(error(500), path="/api/v2/user")
    plex.claim_pin(plex.tv.pins[0].code, lin)
    result = await go_on(hass, result)
    assert result["step_id"] == "pin_expired"
    assert not plex.tv.tokens


async def test_link_rejected(
    hass: HomeAssistant, plex: PlexEmulator, lin: Account
) -> None:
    """A token that is dead on arrival is no sign-in, and not left behind either."""
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    plex.faults.add(error(401, code=1001), path="/api/v2/user")
    plex.claim_pin(plex.tv.pins[0].code, lin)
    result = await go_on(hass, result)
    assert result["step_id"] == "pin_expired"
    assert not plex.tv.tokens


async def test_link_unknown_error(
    hass: HomeAssistant,
    plex: PlexEmulator,
    lin: Account,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What nobody thought of is told, be it before or while a code is waited for."""
    advanced = with_code(plex)
    result = await start(hass, "password")
    rule = plex.faults.add(error(503), path=f"{PINS}*")
    with patch.object(random, "uniform", side_effect=LookupError):
        result = await configure(hass, result, advanced)
        assert result["step_id"] == "link"
        assert result["errors"] == {"base": "unknown"}
        assert "Unexpected error while getting a Plex PIN" in caplog.text
        plex.faults.remove(rule)
        result = await configure(hass, result, {})
        plex.faults.add(error(503), path=f"{PINS}*")
        result = await go_on(hass, result)
    assert result["step_id"] == "link"
    assert result["errors"] == {"base": "unknown"}
    assert "Unexpected error while waiting for a Plex PIN" in caplog.text
    caplog.clear()


async def test_link_closed(
    hass: HomeAssistant, plex: PlexEmulator, lin: Account
) -> None:
    """Closing the dialog stops the polling, after one more look."""
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    await until(lambda: len(plex.requests.matching(path=f"{PINS}/*")) > 1)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    asked = len(plex.requests)
    await asyncio.sleep(0.1)
    assert len(plex.requests) == asked


async def test_link_closed_after_use(
    hass: HomeAssistant, plex: PlexEmulator, lin: Account
) -> None:
    """A token that was fetched for a dialog that is closed then is given back."""
    result = await start(hass, "password")
    result = await configure(hass, result, with_code(plex))
    plex.faults.add(Delay(5), path="/api/v2/user", times=1)
    plex.claim_pin(plex.tv.pins[0].code, lin)
    await until(lambda: bool(plex.requests.matching(path="/api/v2/user")))
    assert plex.tv.tokens_of(lin)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not plex.tv.tokens_of(lin)


@pytest.mark.parametrize("told", [True, False])
async def test_link_closed_before_it_is_known(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    told: bool,
) -> None:
    """Who closes the dialog just after using the code stays signed in all the same.

    If plex.tv does not tell that it was used, a new sign-in is asked for.
    """
    await setup_integration(hass, config_entry)
    again = await config_entry.start_reconfigure_flow(hass)
    result = await configure(hass, again, {"next_step_id": "link"})
    plex.claim_pin(plex.tv.pins[0].code, ada)
    (token,) = plex.tv.tokens_of(ada)
    assert token.text != config_entry.data[CONF_TOKEN]
    if not told:
        plex.faults.add(error(503), path="/api/v2/pins/*")
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    await config_entry.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (config_entry.data[CONF_TOKEN] == token.text) is told
    assert bool(hass.config_entries.flow.async_progress()) is not told


@pytest.fixture(params=["reauth", "restart", "reconfigure"])
async def again(
    request: pytest.FixtureRequest,
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> ConfigFlowResult:
    """Start to sign in again, because it is needed or because Ada likes to."""
    await setup_integration(hass, config_entry)
    if request.param != "reconfigure":
        plex.sign_out_everywhere(ada)
        if request.param == "reauth":
            await config_entry.runtime_data.async_refresh()
        else:
            await hass.config_entries.async_reload(config_entry.entry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        assert flow["context"]["source"] == "reauth"
        assert flow["context"]["title_placeholders"] == {"name": "ada"}
        result = await hass.config_entries.flow.async_configure(flow["flow_id"])
        assert result["step_id"] == "reauth_confirm"
    else:
        result = await config_entry.start_reconfigure_flow(hass)
        assert result["step_id"] == "reconfigure"
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == ["browser", "link", "password"]
    assert result["description_placeholders"]
    assert result["description_placeholders"]["account"] == "ada"
    return result


async def test_again_with_password(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    again: ConfigFlowResult,
) -> None:
    """Signing in again keeps all but the token, and is the same device for plex.tv."""
    ada.verification_code = VERIFICATION_CODE
    devices = registered(hass, config_entry)
    old = config_entry.data[CONF_TOKEN]

    source = "reconfigure" if again["step_id"] == "reconfigure" else "reauth"
    result = await choose(hass, again, "password")
    assert suggested(result) == {CONF_USERNAME: "ada", CONF_SERVER_URL: plex.url}
    assert is_collapsed(result)
    typed = {CONF_USERNAME: "ada@plex-user.example", CONF_PASSWORD: PASSWORD}
    result = await configure(hass, result, typed)
    assert result["step_id"] == "two_factor"
    result = await configure(hass, result, {CONF_CODE: VERIFICATION_CODE})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == f"{source}_successful"
    # Core's own text for it is not there in every language.
    assert result.get("translation_domain") is None
    assert config_entry.state is ConfigEntryState.LOADED
    (token,) = plex.tv.tokens_of(ada)
    assert token.text != old
    assert config_entry.data == {
        CONF_TOKEN: token.text,
        CONF_CLIENT_IDENTIFIER: CLIENT_IDENTIFIER,
        CONF_SERVER_URL: plex.url,
    }
    assert token.client_identifier == CLIENT_IDENTIFIER
    assert registered(hass, config_entry) == devices
    assert not hass.config_entries.flow.async_progress()


async def test_again_with_link(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    again: ConfigFlowResult,
) -> None:
    """The other way in works as well."""
    result = await configure(hass, again, {"next_step_id": "link"})
    assert result["step_id"] == "link_wait"
    placeholders = result["description_placeholders"]
    assert placeholders
    assert placeholders["again"] == "/config/integrations/integration/plex_account"
    plex.claim_pin(plex.tv.pins[0].code, ada)
    result = await go_on(hass, result)
    await hass.async_block_till_done(wait_background_tasks=True)
    (token,) = plex.tv.tokens_of(ada)
    assert config_entry.data[CONF_TOKEN] == token.text
    assert token.client_identifier == CLIENT_IDENTIFIER
    assert config_entry.state is ConfigEntryState.LOADED


@pytest.fixture
async def signed_out_meanwhile(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, config_entry: MockConfigEntry
) -> ConfigFlowResult:
    """Return a dialog to sign in once more, during which Ada was signed out."""
    flow = hass.config_entries.flow
    await setup_integration(hass, config_entry)
    result = await config_entry.start_reconfigure_flow(hass)
    flow.async_abort(result["flow_id"])
    assert not flow.async_progress()
    result = await config_entry.start_reconfigure_flow(hass)
    plex.sign_out_everywhere(ada)
    await config_entry.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(flow.async_progress()) == 1
    return result


async def test_signed_out_while_it_is_open(
    hass: HomeAssistant, signed_out_meanwhile: ConfigFlowResult
) -> None:
    """Who closes the dialog after the account was signed out is asked to sign in."""
    flow = hass.config_entries.flow
    flow.async_abort(signed_out_meanwhile["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    (asked,) = flow.async_progress()
    assert asked["context"]["source"] == "reauth"


async def test_signed_out_before_it_ends(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    signed_out_meanwhile: ConfigFlowResult,
) -> None:
    """Who has just signed in again is not asked to."""
    result = await choose(hass, signed_out_meanwhile, "password")
    result = await configure(hass, result, credentials(plex))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["reason"] == "reconfigure_successful"
    assert config_entry.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()


async def test_removed_while_it_is_open(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry
) -> None:
    """Who signs in to an account that is removed meanwhile leaves no token behind."""
    await setup_integration(hass, config_entry)
    another = await start(hass, "password")
    again = await config_entry.start_reconfigure_flow(hass)
    result = await choose(hass, again, "password")
    rule = plex.faults.add(Delay(0.2), path=SIGN_IN)
    task = hass.async_create_task(configure(hass, result, credentials(plex)))
    await until(lambda: rule.hits > 0)
    await hass.config_entries.async_remove(config_entry.entry_id)
    with pytest.raises(UnknownFlow):
        await task
    assert not plex.tv.tokens
    (left,) = hass.config_entries.flow.async_progress()
    assert left["flow_id"] == another["flow_id"]


@pytest.mark.parametrize("way", ["link", "password"])
async def test_closed_while_plex_answers(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    way: str,
) -> None:
    """Who closes the dialog while Plex signs in stays signed in; no code is awaited."""
    await setup_integration(hass, config_entry)
    again = await config_entry.start_reconfigure_flow(hass)
    if way == "link":
        rule = plex.faults.add(Delay(0.2), path=PINS)
        going = configure(hass, again, {"next_step_id": "link"})
    else:
        result = await choose(hass, again, "password")
        rule = plex.faults.add(Delay(0.2), path=SIGN_IN)
        going = configure(hass, result, credentials(plex))
    task = hass.async_create_task(going)
    await until(lambda: rule.hits > 0)
    hass.config_entries.flow.async_abort(again["flow_id"])
    with pytest.raises(UnknownFlow):
        await task
    await hass.async_block_till_done(wait_background_tasks=True)
    (token,) = plex.tv.tokens_of(ada)
    assert config_entry.data[CONF_TOKEN] == token.text
    assert config_entry.state is ConfigEntryState.LOADED
    assert not plex.requests.matching(path=f"{PINS}/*")


async def test_again_with_another_account(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    again: ConfigFlowResult,
) -> None:
    """Another account is refused, signed out again, and changes nothing."""
    grace = plex.add_account("grace", password="password-grace-admiral")
    before = dict(config_entry.data)
    result = await choose(hass, again, "password")
    result = await configure(
        hass,
        result,
        credentials(plex, username="grace", password="password-grace-admiral"),
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "wrong_account"
    assert result["description_placeholders"] == {"account": "ada", "other": "grace"}
    assert not plex.tv.tokens_of(grace)
    assert config_entry.data == before
    # The right one can still sign in.
    flows = hass.config_entries.flow.async_progress()
    assert [flow["step_id"] for flow in flows] == (
        ["reauth_confirm"] if again["step_id"] == "reauth_confirm" else []
    )


async def test_reconfigure_server_url(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    resolver: LoopbackResolver,
) -> None:
    """The address of plex.tv can be changed without losing anything."""
    resolver.patterns.append("localhost")
    await setup_integration(hass, config_entry)
    devices = registered(hass, config_entry)
    url = plex.url.replace("127.0.0.1", "localhost")
    result = await config_entry.start_reconfigure_flow(hass)
    result = await choose(hass, result, "password")
    result = await configure(
        hass, result, credentials(plex) | {"advanced": {CONF_SERVER_URL: url}}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert result["reason"] == "reconfigure_successful"
    assert config_entry.data[CONF_SERVER_URL] == url
    assert config_entry.state is ConfigEntryState.LOADED
    assert registered(hass, config_entry) == devices


def registered(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    """Return the ids of the devices and entities of an entry."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {device.id for device in devices} | {entity.id for entity in entities}


@pytest.fixture
async def frontend(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> Frontend:
    """Return what does as the frontend does, which says where it is."""
    await async_setup_component(hass, "config", {})
    # A web server of the tests takes no more views once it runs.
    async_register_callback(hass)
    client = await hass_client()

    async def post(path: str = "", **fields: Any) -> dict[str, Any]:
        response = await client.post(
            f"/api/config/config_entries/flow{path}",
            json=fields,
            headers={"HA-Frontend-Base": "https://home.example:8123"},
        )
        return dict(await response.json())

    return post


async def browse(frontend: Frontend, plex: PlexEmulator) -> dict[str, Any]:
    """Choose to sign in in the browser, by what stands in for plex.tv."""
    result = await frontend(handler=DOMAIN)
    path = f"/{result['flow_id']}"
    # The usual plex.tv is out of reach here.
    result = await frontend(path, next_step_id="browser")
    assert (result["step_id"], result["errors"]) == (
        "browser",
        {"base": "cannot_connect"},
    )
    return await frontend(path, advanced={CONF_SERVER_URL: plex.url})


async def test_browser(
    hass: HomeAssistant,
    hass_client_no_auth: ClientSessionGenerator,
    frontend: Frontend,
    plex: PlexEmulator,
    lin: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who comes back from plex.tv is signed in."""
    # Not to be looked at again for long.
    monkeypatch.setattr(pins, "POLL_INTERVAL", 60)
    monkeypatch.setattr(pins, "POLL_MAX_INTERVAL", 60)
    result = await browse(frontend, plex)
    assert result["type"] == "external"
    page, _, fragment = result["url"].partition("#?")
    assert page == f"{plex.url}/auth"
    (pin,) = plex.tv.pins
    assert len(pin.code) == 25
    forward_url = (
        "https://home.example:8123/auth/plex_account/callback"
        f"?flow_id={result['flow_id']}"
    )
    assert dict(parse_qsl(fragment)) == {
        "clientID": pin.client_identifier,
        "code": pin.code,
        "context[device][product]": "Plex Account for Home Assistant",
        "forwardUrl": forward_url,
    }
    stranger = await hass_client_no_auth()
    menu = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )
    # There would be another code.
    rule = plex.faults.add(error(429), path="/api/v2/pins")
    form = await configure(hass, await start(hass, "password"), with_code(plex))
    plex.faults.remove(rule)
    for flow_id in (
        "",
        "0123456789abcdef0123456789abcdef",
        menu["flow_id"],
        form["flow_id"],
    ):
        answer = await stranger.get(f"/auth/plex_account/callback?flow_id={flow_id}")
        assert answer.status == 200
    assert (await stranger.get("/auth/plex_account/callback")).status == 200
    assert hass.config_entries.flow.async_get(menu["flow_id"])["step_id"] == "user"
    assert hass.config_entries.flow.async_get(form["flow_id"])["step_id"] == "link"
    assert not plex.tv.tokens_of(lin)

    plex.claim_pin(pin.code, lin)
    plex.requests.clear()
    hass.config.language = "de"
    answer = await stranger.get(URL(forward_url).path_qs)
    assert answer.content_type == "text/html"
    assert "<p>Du kannst dieses Fenster schließen" in await answer.text()
    flow = hass.config_entries.flow
    await until(lambda: flow.async_get(result["flow_id"])["step_id"] == "pin_done")
    end = await flow.async_configure(result["flow_id"])
    assert end["type"] is FlowResultType.CREATE_ENTRY
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.unique_id == lin.user.uuid


async def test_browser_on_another_device(
    hass: HomeAssistant, frontend: Frontend, plex: PlexEmulator, lin: Account
) -> None:
    """The dialog goes on though nobody comes back."""
    result = await browse(frontend, plex)
    plex.claim_pin(plex.tv.pins[0].code, lin)
    flow = hass.config_entries.flow
    await until(lambda: flow.async_get(result["flow_id"])["step_id"] == "pin_done")
    end = await flow.async_configure(result["flow_id"])
    assert end["type"] is FlowResultType.CREATE_ENTRY


async def test_browser_too_early(
    hass: HomeAssistant, frontend: Frontend, plex: PlexEmulator, lin: Account
) -> None:
    """Who comes back without having signed in is sent there again."""
    result = await browse(frontend, plex)
    again = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert again["type"] is FlowResultType.EXTERNAL_STEP
    assert again["url"] == result["url"]
    # Closing the dialog leaves nobody waiting.
    plex.claim_pin(plex.tv.pins[0].code, lin)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await hass.async_block_till_done(wait_background_tasks=True)
    asked = len(plex.requests)
    await asyncio.sleep(0.1)
    assert len(plex.requests) == asked


async def test_browser_unknown(hass: HomeAssistant, again: ConfigFlowResult) -> None:
    """Where nobody knows the way back there is a code instead."""
    result = await configure(hass, again, {"next_step_id": "browser"})
    assert result["step_id"] == "link_wait"
    hass.config_entries.flow.async_abort(result["flow_id"])


async def test_again_without_name(
    hass: HomeAssistant, ada: Account, config_entry: MockConfigEntry
) -> None:
    """Not every account has a user name."""
    ada.user.username = ""
    await setup_integration(hass, config_entry)
    result = await config_entry.start_reconfigure_flow(hass)
    result = await choose(hass, result, "password")
    assert suggested(result)[CONF_USERNAME] == ""


async def test_address_with_a_path(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account
) -> None:
    """What stands in for plex.tv may do so below a path."""
    result = await start(hass, "password")
    typed = credentials(plex) | {"advanced": {CONF_SERVER_URL: f"{plex.url}/PLEX/"}}
    await configure(hass, result, typed)
    assert plex.requests[0].path.startswith("/PLEX/api/")


async def test_emptied_address(
    hass: HomeAssistant, plex: PlexEmulator, again: ConfigFlowResult
) -> None:
    """An address that is emptied is the usual one, where the password then goes."""
    plex.requests.clear()
    result = await choose(hass, again, "password")
    typed = {CONF_USERNAME: "ada", CONF_PASSWORD: PASSWORD}
    unsafe = {"advanced": {CONF_SERVER_URL: "http://192.168.1.5"}}
    result = await configure(hass, result, typed | unsafe)
    assert result["errors"] == {"advanced": "invalid_url"}
    result = await configure(hass, result, typed | {"advanced": {}})
    assert result["errors"] == {"base": "cannot_connect"}
    assert suggested(result)[CONF_SERVER_URL] == "https://plex.tv"
    assert not plex.requests
