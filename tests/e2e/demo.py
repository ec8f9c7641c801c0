"""Show the integration at work: python -m tests.e2e.demo, by way of scripts/demo."""

import argparse
import asyncio
import signal
import sys
import time
from types import FrameType

from aiohttp import ClientSession

from .emulator_process import EmulatorClient, EmulatorProcess
from .hass_client import HassClient, onboard
from .hass_process import HassProcess
from .narrator import Narrator
from .story import Story

USERNAME = PASSWORD = "demo"
LOG_LINES = 40


def main() -> int:
    """Read the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Run Home Assistant with this integration and an emulated Plex.",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="leave both running to click through, until Ctrl-C",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="Home Assistant's port (default: any)"
    )
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Such as nohup's, which is to be respected.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        with (
            HassProcess(port=options.port) as hass,
            EmulatorProcess(hass.authority) as emulator,
        ):
            asyncio.run(_run(emulator, hass, serve=options.serve))
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0 if options.serve else 130
    if hass.returncode or emulator.returncode:
        print(
            f"They did not stop in order: {hass.returncode}, {emulator.returncode}",
            file=sys.stderr,
        )
        return 1
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Take every way of being ended for Ctrl-C."""
    raise KeyboardInterrupt


async def _run(emulator: EmulatorProcess, hass: HassProcess, *, serve: bool) -> None:
    """Do what was asked for, and explain what went wrong."""
    narrator = Narrator()
    started = time.monotonic()
    try:
        async with ClientSession() as session:
            home, plex = await _start(session, emulator, hass, narrator)
            if serve:
                await _serve(home, plex)
            await Story(home, plex, narrator, hass).tell()
    except Exception as err:
        tail = "\n".join(hass.log.splitlines()[-LOG_LINES:])
        print(f"\nThe end of Home Assistant's log:\n\n{tail}\n", file=sys.stderr)
        err.add_note(f"FAILED in {narrator.current}")
        raise
    print(f"\nAll of it worked, in {time.monotonic() - started:.0f} seconds.")


async def _start(
    session: ClientSession,
    emulator: EmulatorProcess,
    hass: HassProcess,
    narrator: Narrator,
) -> tuple[HassClient, EmulatorClient]:
    """Wait for both, and create the owner of the new Home Assistant."""
    narrator.step("Start a real Home Assistant and an emulated Plex")
    plex = EmulatorClient(session, await emulator.ready())
    home = await onboard(session, await hass.ready(session), USERNAME, PASSWORD)
    version = await hass.until(home.version)
    narrator.show({f"Home Assistant {version}": home.url, "plex.tv": plex.url})
    return home, plex


async def _serve(home: HassClient, plex: EmulatorClient) -> None:
    """Explain what there is to click at, and wait for the end."""
    print(f"""
Home Assistant   {home.url}
  log in as      {USERNAME}, password {PASSWORD}
  then           Settings > Devices & services > Add integration > Plex Account
  under Advanced the address of the Plex account service is {plex.url}

Plex accounts""")
    for account in (await plex("describe"))["accounts"]:
        print(f"  {account['username']:13}  {_way_in(account)}")
    print(f"""
A link code is claimed, as if typed at plex.tv/link, with
  curl {plex.url}/_emulator/claim_pin -d '{{"code": "CODE", "account": "linus"}}'
What else the emulator can do (restart_server, add_server, revoke_tokens and more):
  curl -X POST {plex.url}/_emulator/help

Press Ctrl-C to stop.""")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _way_in(account: dict[str, str | None]) -> str:
    """Return how someone signs in."""
    if account["password"] is None:
        return "no password: signs in with a link code"
    code = account["verification_code"]
    return f"password {account['password']}{f', then code {code}' if code else ''}"


if __name__ == "__main__":
    sys.exit(main())
