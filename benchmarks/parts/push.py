"""How soon it is known that a server is down, and back, and what that costs.

`off_s` are the seconds from its death to the state, of a machine that refuses at once;
`on_s` those from its return to the state, `token_s` to a token that it accepts, after
three seconds of absence. Real time passes. `night_requests` is what a server gets on a
day on which it sleeps for eight hours, in simulated time.
"""

import asyncio
from collections import Counter
import time

from benchmarks.emulator import PASSWORD, USERNAME, world_here
from benchmarks.figures import Report, at_most
from benchmarks.home_assistant import account_in, home_assistant
from benchmarks.process import Child
from tests import until
from tests.plex_emulator import CertificateAuthority, PlexEmulator

ROUNDS = 3
ABSENCE = 3
STATE = "binary_sensor.attic_connectivity"


async def run(report: Report) -> None:
    """Let a server die and come back, and servers sleep at night."""
    off, on, token = [], [], []
    authority = CertificateAuthority()
    async with PlexEmulator(authority=authority) as plex, home_assistant() as hass:
        ada = plex.add_account(USERNAME, password=PASSWORD)
        attic = await plex.add_server("Attic", owner=ada)
        async with account_in(hass, world_here(plex, ada, authority)):

            def is_on() -> bool:
                state = hass.states.get(STATE)
                return bool(state and state.state == "on")

            for _ in range(ROUNDS):
                await until(lambda: bool(attic.push.sockets) and is_on())
                attic.forget_tokens()
                start = time.perf_counter()
                await attic.stop()
                await until(lambda: not is_on())
                off.append(time.perf_counter() - start)
                await asyncio.sleep(ABSENCE)
                start = time.perf_counter()
                await attic.start()
                await until(lambda: bool(attic.transient_tokens))
                token.append(time.perf_counter() - start)
                await until(is_on)
                on.append(time.perf_counter() - start)
    report.add("push.off_s", off, goal=at_most(2))
    report.add("push.on_s", on, goal=at_most(10))
    report.add("push.token_s", token, goal=at_most(10))
    async with Child.module("parts.simulated_day") as child:
        (day,) = await child("count", servers=1, days=1, nights=True)
    hosts = Counter[str]()
    for host, _, count in day:
        hosts[host] += count
    report.add("push.night_requests", [hosts["Server 0"]])
    report.add("push.night_requests_plex_tv", [hosts["plex.tv"]])
