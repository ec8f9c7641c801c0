"""The emulator as a process of its own."""

from collections.abc import Sequence
import json
from pathlib import Path
import sys
from typing import Any, override

from aiohttp import ClientSession

from .child import Child
from .waiting import eventually

type Data = dict[str, Any]


class EmulatorProcess(Child):
    """The demonstration world of the emulator."""

    name = "emulator"

    def __init__(self, authority: Path, *, alike: bool = False) -> None:
        """Have certificates of the authority in a folder; be the same each time."""
        self._authority = authority
        self._options = ["--alike"] if alike else []

    @override
    def _prepare(self) -> Sequence[str | Path]:
        return [
            sys.executable,
            "-m",
            "tests.plex_emulator",
            "--state",
            self._state_file,
            "--authority",
            self._authority,
            *self._options,
        ]

    async def ready(self) -> str:
        """Wait until it runs, and return the address of plex.tv."""
        return str((await self.until(self._read_state))["url"])

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    async def _read_state(self) -> Data | None:
        return read_json(self._state_file)


class EmulatorClient:
    """Does to the emulated world what its people would do."""

    def __init__(self, session: ClientSession, url: str) -> None:
        """Drive the emulator whose plex.tv is there."""
        self._session = session
        self.url = url

    async def __call__(self, action: str, **arguments: str | bool) -> Any:
        """Do one of the actions of its control API."""
        async with self._session.post(
            f"{self.url}/_emulator/{action}", json=arguments
        ) as response:
            answer = await response.json()
            if not response.ok:
                raise ValueError(f"{action}: {answer['error']}")
            return answer

    async def account(self, username: str) -> Data:
        """Return user name, e-mail address, password and code of an account."""
        return _named((await self("describe"))["accounts"], "username", username)

    async def server(self, name: str) -> Data:
        """Return address, identifier and owner of a server."""
        return _named((await self("describe"))["servers"], "name", name)

    async def restart_server(self, name: str) -> None:
        """Restart a server, and wait until it is asked for a new token."""
        tokens = {"host": name, "path": "/security/token"}
        before = len(await self("requests", **tokens))
        await self("restart_server", server=name)

        async def asked() -> bool:
            return len(await self("requests", **tokens)) > before

        await eventually(asked, f"{name} is asked for a new token")


def read_json(path: Path) -> Data | None:
    """Return the object in a file, None if there is no such file yet."""
    if not path.exists():
        return None
    content: Data = json.loads(path.read_text())
    return content


def _named(items: list[Data], key: str, value: str) -> Data:
    return next(item for item in items if item[key] == value)
