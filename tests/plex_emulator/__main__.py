"""Run a small world by hand: python -m tests.plex_emulator."""

import argparse
import asyncio
from itertools import count
import json
from pathlib import Path
import random
import signal

from . import host
from .certificates import CertificateAuthority
from .confidential import Secrets
from .control import describe
from .demo import build_demo_world
from .demo_library import stock
from .emulator import PlexEmulator

# Below those that systems give to whoever wants any.
FIRST_PORT = 22000


def main() -> None:
    """Read the command line and run until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.plex_emulator",
        description="Emulate plex.tv and a few Plex Media Servers on this machine.",
    )
    parser.add_argument(
        "--state", type=Path, help="file for addresses and credentials, as JSON"
    )
    parser.add_argument(
        "--authority",
        type=Path,
        help="folder of the authority whose certificates the servers have",
    )
    parser.add_argument(
        "--alike",
        action="store_true",
        help="have the same ports, codes and tokens each time, as for pictures",
    )
    options = parser.parse_args()
    if options.alike:
        host.ports = count(FIRST_PORT)
        Secrets.alike = True
        random.seed(FIRST_PORT)
    try:
        asyncio.run(run(options.state, options.authority))
    finally:
        # Who finds the file may count on the emulator being there.
        if options.state:
            options.state.unlink(missing_ok=True)


async def run(state: Path | None, authority: Path | None) -> None:
    """Emulate until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    known = CertificateAuthority.load(authority) if authority else None
    async with PlexEmulator(authority=known) as plex:
        world = await build_demo_world(plex)
        stock(world.attic)
        stock(world.library)
        print(json.dumps(describe(plex)), flush=True)  # noqa: T201 - it is a command
        if state:
            write_state(state, plex)
        await stop.wait()


def write_state(path: Path, plex: PlexEmulator) -> None:
    """Write the file in one go, so that nobody reads half of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(describe(plex), indent=2))
    draft.replace(path)


if __name__ == "__main__":
    main()
