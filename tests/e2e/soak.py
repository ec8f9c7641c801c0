"""A busy household in which things go wrong: python -m tests.e2e.soak, by scripts/soak.

In a real Home Assistant somebody looks sources up, somebody searches, players begin,
seek and leave, while servers restart or are gone for a while, which is pushed, plex.tv
is down now and then, and Home Assistant itself restarts.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
import random
import re
import sys
import time

from aiohttp import ClientError, ClientSession, WSMessageTypeError

from tests.plex_emulator.demo_library import FILMS

from .emulator_process import EmulatorClient, EmulatorProcess
from .hass_client import HassClient, HassError, onboard
from .hass_process import HassProcess
from .sign_in import sign_in_with_password
from .waiting import eventually

SERVER = "Attic"
CONNECTIVITY = "binary_sensor.attic_connectivity"
# How many do each of the things at the same time.
LOOKING, SEARCHING, PLAYING = 4, 2, 6
# Seconds: that anything may take, between two mishaps, and that an outage lasts.
PATIENCE = 30
MISHAP_EVERY = 4
OUTAGE = 6
# Seconds after which all that was begun has come to its end.
QUIET = 10
# Of how many mishaps one is a restart of Home Assistant.
RESTART_EVERY = 30
# What may be more than a minute after a start: what some library keeps.
MORE_SOCKETS = 4
MORE_MEGABYTES = 20
SEED = 20
# How every token of the emulator looks.
TOKEN = re.compile(r"\b(?:[a-z]+-token|pin-code|transient)-[0-9a-z]{8}[0-9a-z-]*")


# Memory that the process only keeps to use it again is no growth.
GIVE_BACK = """
import ctypes, gc, os
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
os.remove({script!r})
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What a process needs."""

    megabytes: float
    sockets: int

    @classmethod
    async def by(cls, hass: HassProcess) -> Used:
        """Look at a process, once it has given back what it does not need."""
        script = hass.folder / "give_back.py"
        script.write_text(GIVE_BACK.format(script=str(script)))
        sys.remote_exec(hass.pid, str(script))

        async def given_back() -> bool:
            return not script.exists()

        await eventually(given_back, "what is not needed is given back", PATIENCE)
        folder = Path(f"/proc/{hass.pid}")
        pages = int((folder / "statm").read_text().split()[1])
        sockets = 0
        for descriptor in (folder / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                sockets += f"{descriptor.readlink()}".startswith("socket:")
        return cls(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, sockets)


@dataclass(slots=True)
class Soak:
    """The household, and what came of it."""

    hass: HassProcess
    home: HassClient
    plex: EmulatorClient
    session: ClientSession
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    mishaps: Counter[str] = field(default_factory=Counter)
    hung: int = 0
    # Whether Home Assistant is there, and nobody has to wonder.
    running: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, seconds: float) -> None:
        """Let it go on for a while, and check that nothing is left."""
        source = f"server://{(await self.plex.server(SERVER))['machine_identifier']}"

        async def look_up() -> None:
            await self.home.action(
                "get_source_connection_information",
                source=self.dice.choice((source, "Library", "Cellar")),
            )

        async def list_sources() -> None:
            await self.home.action("get_sources")
            await asyncio.sleep(0.5)

        async def search() -> None:
            await self.home.action("find_media", query=self.dice.choice([*FILMS]))

        tasks: tuple[tuple[str, Callable[[], Awaitable[None]], int], ...] = (
            ("look-ups", look_up, LOOKING),
            ("lists", list_sources, 1),
            ("searches", search, SEARCHING),
            ("films", self._play, PLAYING),
        )
        self.running.set()
        workers = [
            asyncio.create_task(self._again_and_again(name, task))
            for name, task, number in tasks
            for _ in range(number)
        ]
        first = await self._wait_for_the_end(seconds)
        for worker in workers:
            worker.cancel()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        await self._rest()
        last = await Used.by(self.hass)
        print(self._told(first, last))
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
        assert self.hung == 0
        assert self.done.keys() == {name for name, _, _ in tasks}
        assert self.done.total() > self.failed.total()
        assert last.sockets <= first.sockets + MORE_SOCKETS
        assert last.megabytes <= first.megabytes + MORE_MEGABYTES
        assert not self._leaks()

    async def _wait_for_the_end(self, seconds: float) -> Used:
        """Let mishaps happen; return what was used a while after the last start."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        # The last part is without a restart, so that growth can be seen.
        last_restart = end - seconds / 3
        settled = loop.time() + seconds / 10
        first: Used | None = None
        number = 0
        while loop.time() < end:
            await asyncio.sleep(MISHAP_EVERY * self.dice.uniform(0.5, 1.5))
            number += 1
            if number % RESTART_EVERY == 0 and loop.time() < last_restart:
                await self._restart()
                settled, first = loop.time() + seconds / 10, None
            else:
                await self._mishap()
            if first is None and loop.time() > settled:
                first = await self._used_at_rest()
        return first or await self._used_at_rest()

    async def _used_at_rest(self) -> Used:
        """Return what is used while nobody wants anything."""
        self.running.clear()
        await asyncio.sleep(QUIET)
        used = await Used.by(self.hass)
        self.running.set()
        return used

    async def _mishap(self) -> None:
        """Let something go wrong, and be mended."""
        mishap = self.dice.choice(
            ("server restarts", "server is gone", "plex.tv is down", "Cellar restarts")
        )
        self.mishaps[mishap] += 1
        match mishap:
            case "server restarts":
                await self.plex("restart_server", server=SERVER)
            case "server is gone":
                await self.plex("stop_server", server=SERVER)
                await asyncio.sleep(OUTAGE)
                await self.plex("start_server", server=SERVER)
            case "plex.tv is down":
                await self.plex("stop_plex_tv")
                await asyncio.sleep(OUTAGE)
                await self.plex("start_plex_tv")
            case _:
                await self.plex("restart_server", server="Cellar")
        await self.plex("clear_requests")

    async def _restart(self) -> None:
        """Restart Home Assistant, of which everybody knows."""
        self.mishaps["Home Assistant restarts"] += 1
        self.running.clear()
        await asyncio.to_thread(self.hass.restart)
        await self.hass.until(self.home.version)
        self.running.set()

    async def _again_and_again(
        self, name: str, task: Callable[[], Awaitable[None]]
    ) -> None:
        """Do something until it is enough."""
        while True:
            await self.running.wait()
            try:
                async with asyncio.timeout(PATIENCE):
                    await task()
            except TimeoutError:
                self.hung += 1
            except (HassError, ClientError, WSMessageTypeError) as err:
                # Nobody can expect an answer while Home Assistant restarts.
                if self.running.is_set():
                    self.failed[f"{name}: {type(err).__name__}"] += 1
                await asyncio.sleep(0.1)
            else:
                self.done[name] += 1

    async def _play(self) -> None:
        """Find a film, and fetch all of it, or some of it from anywhere."""
        title = self.dice.choice([*FILMS])
        found = await self.home.action("find_media", query=title)
        if not found["items"]:
            raise HassError("not_found", title)
        media = await self.home.command(
            "media_source/resolve_media",
            media_content_id=found["items"][0]["media_content_id"],
        )
        headers = {"Range": f"bytes={self.dice.randrange(100_000)}-"}
        async with self.session.get(
            f"{self.home.url}{media['url']}", headers=headers
        ) as answer:
            answer.raise_for_status()
            if self.dice.random() < 0.5:
                await answer.content.readany()
                answer.close()
            else:
                await answer.read()

    async def _rest(self) -> None:
        """Wait until all is well again."""

        async def connected() -> bool:
            return await self.home.state(CONNECTIVITY) == "on"

        await self.plex("start_plex_tv")
        await eventually(connected, f"{SERVER} is connected", 2 * PATIENCE)
        await asyncio.sleep(2)

    def _leaks(self) -> list[str]:
        """Return the files that hold a token which has no place there."""
        return [
            str(path)
            for path in [self.hass.log_file, *self.hass.storage.iterdir()]
            if path.is_file()
            and path.name != "core.config_entries"
            and not path.name.startswith("plex_account.")
            and TOKEN.search(path.read_text(errors="replace"))
        ]

    def _told(self, first: Used, last: Used) -> str:
        """Return what came of it, for people."""

        def listed(counts: Counter[str]) -> str:
            told = (f"{count:,} {name}" for name, count in counts.most_common())
            return ", ".join(told) or "none"

        return f"""\
done: {listed(self.done)}
told to be impossible: {listed(self.failed)}
mishaps: {listed(self.mishaps)}
hung: {self.hung}
a while after the last start, and at the end:
memory: {first.megabytes:.0f} and {last.megabytes:.0f} MB
sockets: {first.sockets} and {last.sockets}"""


async def soak(hass: HassProcess, emulator: EmulatorProcess, seconds: float) -> None:
    """Do it in a new Home Assistant."""
    async with ClientSession() as session:
        plex = EmulatorClient(session, await emulator.ready())
        home = await onboard(session, await hass.ready(session), "demo", "demo")
        await hass.until(home.version)
        await sign_in_with_password(home, plex, "ada")
        await Soak(hass, home, plex, session).run(seconds)


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("minutes", type=float, nargs="?", default=10)
    minutes = parser.parse_args().minutes
    started = time.monotonic()
    with HassProcess() as hass, EmulatorProcess(hass.authority) as emulator:
        asyncio.run(soak(hass, emulator, 60 * minutes))
    assert (hass.returncode, emulator.returncode) == (0, 0)
    print(f"All of it was endured, in {time.monotonic() - started:.0f} seconds.")


if __name__ == "__main__":
    main()
