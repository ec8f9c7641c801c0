"""Fixtures of the end-to-end tests: the two processes, and clients of them."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from aiohttp.web import Application
import pytest
import pytest_socket
from yarl import URL

from .child import ROOT
from .emulator_process import EmulatorClient, EmulatorProcess
from .hass_client import Data, HassClient, onboard
from .hass_process import DOMAIN, HassProcess
from .sign_in import sign_in_with_password

BLUEPRINTS = ROOT / "blueprints" / "automation" / DOMAIN
LOG_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, Any, Any]:
    """Let a failure show the end of Home Assistant's log, which is gone later."""
    report = yield
    process = item.funcargs.get("hass_process")
    if report.failed and isinstance(process, HassProcess):
        tail = "\n".join(process.log.splitlines()[-LOG_LINES:])
        report.sections.append(("Home Assistant's log", tail))
    return report


@pytest.fixture(scope="session")
def hass_process() -> Generator[HassProcess]:
    """Run a Home Assistant for all tests."""
    # The harness has forbidden sockets by now, and each test allows them for itself.
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1"])
    with HassProcess() as process:
        yield process
    assert process.returncode == 0


@pytest.fixture(scope="session")
def home_token(hass_process: HassProcess) -> str:
    """Return the token of the owner of a Home Assistant that has started."""

    async def start() -> str:
        async with ClientSession() as session:
            url = await hass_process.ready(session)
            home = await onboard(session, url, "owner", "password-home-owner")
            await hass_process.until(home.version)
            return home.token

    return _run(start())


@pytest.fixture(scope="module")
def plex_url(hass_process: HassProcess, home_token: str) -> Generator[str]:
    """Run an emulator for the tests of a module."""
    with EmulatorProcess(hass_process.authority) as process:
        yield _run(process.ready())


@pytest.fixture
async def session(home_token: str) -> AsyncGenerator[ClientSession]:
    """Return a session of the test's own event loop."""
    async with ClientSession() as client_session:
        yield client_session


@pytest.fixture
def plex_world(session: ClientSession, plex_url: str) -> EmulatorClient:
    """Return what drives the emulator."""
    return EmulatorClient(session, plex_url)


@pytest.fixture
async def home(
    session: ClientSession, hass_process: HassProcess, home_token: str
) -> AsyncGenerator[HassClient]:
    """Return the owner of a Home Assistant, which has no entry before and after."""
    client = HassClient(session, hass_process.url, home_token)
    yield client
    for entry in await client.entries():
        await client.remove_entry(entry["entry_id"])


@pytest.fixture
async def attic(home: HassClient, plex_world: EmulatorClient) -> Data:
    """Return the entry of an account whose server has something of everything."""
    return await sign_in_with_password(home, plex_world, "ada")


@pytest.fixture
async def repository() -> AsyncGenerator[URL]:
    """Return where the blueprints can be fetched."""
    app = Application()
    app.router.add_static("/", BLUEPRINTS)
    async with TestServer(app) as server:
        yield server.make_url("/")


def _run[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Run something that belongs to no test, on a loop that no test gets to see."""
    return asyncio.run(coroutine, loop_factory=asyncio.new_event_loop)
