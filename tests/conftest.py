"""Fixtures of the tests: a Plex emulator, and an account in it."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
import logging
import random
from socket import AF_UNSPEC
from typing import Any, cast

from aiohttp import BaseConnector, TCPConnector
from freezegun import freeze_time
from freezegun.api import TickingDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
import pytest_socket

# Imported first, as the harness has a package of the same name.
from custom_components.plex_account.api import ClientIdentity, http
from custom_components.plex_account.const import (
    CONF_CLIENT_IDENTIFIER,
    CONF_SERVER_URL,
    DOMAIN,
    LOGGER,
)
from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import (
    DATA_CONNECTOR,
    DATA_RESOLVER,
    HassAsyncDNSResolver,
)
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.util.ssl import SSLCipherList

from . import Tick, setup_integration, unexpected
from .const import CLIENT_IDENTIFIER, NEW_PLEX_DIRECT, PASSWORD, PLEX_DIRECT
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
)
from .plex_emulator.emulator import LOOPBACK
from .translations import shown_texts

__all__ = ["shown_texts"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """Let pytest-xdist pass on what a test logs, though there is half a character."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode())
        for name, text in report.sections
    ]
    return report


@pytest.fixture(autouse=True)
def no_unexpected_error(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Fail for what is logged as unexpected; who expects it clears the log."""
    # The harness wants all that Home Assistant has to say, which takes a while.
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.DEBUG, LOGGER.name)
    yield
    for phase in ("setup", "call"):
        assert not unexpected(caplog.get_records(phase))


@pytest.fixture(autouse=True)
def on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything be due after its whole interval, not after a random part of it."""
    monkeypatch.setattr(random, "random", lambda: 1.0)


@pytest.fixture
async def enable_event_loop_debug() -> None:
    """Let the harness not do so: these many requests would take twice as long."""


@pytest.fixture(autouse=True)
def loopback_sockets(socket_enabled: None) -> None:
    """Allow real sockets, but only within this machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait long for another attempt."""
    monkeypatch.setattr(http, "BACKOFF", 0.001)


@pytest.fixture
def resolver() -> LoopbackResolver:
    """Return what resolves names for Home Assistant: none, until a test says so."""
    return LoopbackResolver()


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    """Return an authority that has its certificates before a test sets the clock."""
    authority = CertificateAuthority()
    for names in (LOOPBACK, (f"*.{PLEX_DIRECT}",), (f"*.{NEW_PLEX_DIRECT}",)):
        authority.server_context(*names)
    return authority


@pytest.fixture
async def hass(
    hass: HomeAssistant, resolver: LoopbackResolver, authority: CertificateAuthority
) -> AsyncGenerator[HomeAssistant]:
    """Let Home Assistant load this integration, and trust the emulator's authority.

    It asks no real name server.
    """
    hass.data.pop(DATA_CUSTOM_COMPONENTS)
    hass.data[DATA_RESOLVER] = cast(HassAsyncDNSResolver, resolver)
    connector = TCPConnector(ssl=authority.client_context(), resolver=resolver)
    connectors: dict[tuple[bool, int, str], BaseConnector] = {
        (True, AF_UNSPEC, SSLCipherList.PYTHON_DEFAULT): connector
    }
    hass.data[DATA_CONNECTOR] = connectors
    handler = hass.loop.get_exception_handler()
    assert handler

    def handle(loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Do not blame the emulator for a client that refuses its certificate."""
        if not isinstance(context.get("exception"), ConnectionResetError):
            handler(loop, context)

    hass.loop.set_exception_handler(handle)
    yield hass
    await connector.close()


@pytest.fixture
def names(resolver: LoopbackResolver) -> None:
    """Let the names of servers resolve."""
    resolver.patterns.append("*.plex.direct")


@pytest.fixture
async def plex(authority: CertificateAuthority) -> AsyncGenerator[PlexEmulator]:
    """Return a plex.tv without anyone in it."""
    async with PlexEmulator(authority=authority) as emulator:
        yield emulator


@pytest.fixture
def ada(plex: PlexEmulator) -> Account:
    """Return an account with a Plex Pass."""
    return plex.add_account("ada", password=PASSWORD, plex_pass=True)


@pytest.fixture
def grace(plex: PlexEmulator) -> Account:
    """Return somebody else."""
    return plex.add_account("grace", password="password-grace-admiral")


@pytest.fixture
async def attic(plex: PlexEmulator, ada: Account) -> MediaServer:
    """Return a server that Ada owns."""
    return await plex.add_server("Attic", owner=ada)


@pytest.fixture
async def library(plex: PlexEmulator, ada: Account, grace: Account) -> MediaServer:
    """Return a server that Grace shares with Ada, both in the same house."""
    library = await plex.add_server("Library", owner=grace)
    library.listing.connections = [Connection.at(library.url)]
    plex.share(library, ada, public_address_matches=True)
    return library


def entry_of(
    plex: PlexEmulator, account: Account, client_identifier: str, tv_url: str = ""
) -> MockConfigEntry:
    """Return the entry of an account whose user has signed in before."""
    return MockConfigEntry(
        domain=DOMAIN,
        title=account.user.title,
        unique_id=account.user.uuid,
        data={
            CONF_TOKEN: plex.tv.issue(account, client_identifier).text,
            CONF_CLIENT_IDENTIFIER: client_identifier,
            CONF_SERVER_URL: tv_url or plex.url,
        },
    )


@pytest.fixture
def config_entry(plex: PlexEmulator, ada: Account) -> MockConfigEntry:
    """Return the entry of Ada's account."""
    return entry_of(plex, ada, CLIENT_IDENTIFIER)


@pytest.fixture
async def loaded(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry
) -> MockConfigEntry:
    """Return Ada's entry, set up, with one server."""
    await setup_integration(hass, config_entry)
    return config_entry


@pytest.fixture
def grace_entry(plex: PlexEmulator, grace: Account) -> MockConfigEntry:
    """Return the entry of Grace's account."""
    return entry_of(plex, grace, "grace-client")


@pytest.fixture
def identity() -> ClientIdentity:
    """Return how the client presents itself."""
    return ClientIdentity(
        client_identifier=CLIENT_IDENTIFIER,
        product="Plex Account",
        version="1.2.3",
        platform="Home Assistant",
        platform_version="2026.11.0",
        device="Computer",
        device_name="Ada's 🏠",
    )


@pytest.fixture
def freezer() -> Generator[TickingDateTimeFactory]:
    """Return what sets the clock, which goes on: real sockets need one that does."""
    with freeze_time(tick=True) as factory:
        assert isinstance(factory, TickingDateTimeFactory)
        yield factory


@pytest.fixture
def tick(hass: HomeAssistant, freezer: TickingDateTimeFactory) -> Tick:
    """Return what lets time pass, and what is due then happen."""

    async def tick(delta: timedelta) -> None:
        freezer.tick(delta)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)

    return tick
