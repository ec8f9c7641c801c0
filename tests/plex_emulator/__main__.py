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
from .host import CONTROL

# Below those that systems give to whoever wants any.
FIRST_PORT = 22000


def main() -> None:
    """Read the command line and run until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.plex_emulator",
        description="Emulate plex.tv and a few Plex Media Servers on this machine.",
    )
    parser.add_argument("--port", type=int, default=0, help="plex.tv's port")
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
        asyncio.run(run(options.port, options.state, options.authority))
    finally:
        # Who finds the file may count on the emulator being there.
        if options.state:
            options.state.unlink(missing_ok=True)


async def run(port: int, state: Path | None, authority: Path | None) -> None:
    """Emulate until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    known = CertificateAuthority.load(authority) if authority else None
    async with PlexEmulator(port=port, authority=known) as plex:
        world = await build_demo_world(plex)
        stock(world.attic)
        stock(world.library)
        print(introduction(plex), flush=True)  # noqa: T201 - it is a command
        if state:
            write_state(state, plex)
        await stop.wait()


def write_state(path: Path, plex: PlexEmulator) -> None:
    """Write the file in one go, so that nobody reads half of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(describe(plex), indent=2))
    draft.replace(path)


def introduction(plex: PlexEmulator) -> str:
    """Explain the world to whoever started it."""
    world = describe(plex)
    lines = [f"plex.tv is at {world['url']}", "", "Accounts:"]
    for account in world["accounts"]:
        way_in = f"password {account['password']}"
        if account["password"] is None:
            way_in = "no password, signs in with a link code"
        if account["verification_code"]:
            way_in += f", then code {account['verification_code']}"
        lines.append(f"  {account['username']:8} {way_in}")
    lines += ["", "Servers:"]
    for server in world["servers"]:
        shared = f", shared with {', '.join(server['shared_with'])}"
        lines.append(
            f"  {server['name']:12} {server['url']}  of {server['owner']}"
            f"{shared if server['shared_with'] else ''}"
            f"{'' if server['presence'] else ', gone for years'}"
        )
    control = f"{world['url']}{CONTROL}"
    lines += [
        "",
        "A link code is claimed, as if typed at plex.tv/link, with",
        f"""  curl {control}claim_pin -d '{{"code": "CODE", "account": "linus"}}'""",
        f"After {plex.tv.failures_allowed} failed sign-ins your address is throttled:",
        "even the right password is refused, until",
        f"  curl -X POST {control}forgive",
        "A server that restarts forgets its transient tokens:",
        f"""  curl {control}restart_server -d '{{"server": "Attic"}}'""",
        f"All else that can be done: curl -X POST {control}help",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
