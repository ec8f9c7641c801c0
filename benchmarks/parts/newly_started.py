"""A Home Assistant that has just started, and never had the integration.

Run by weight: python -m benchmarks.parts.newly_started
"""

import asyncio
import gc
import importlib
import sys
import time
import tracemalloc

from benchmarks.emulator import emulated
from benchmarks.home_assistant import DOMAIN, account_in, entry_of, home_assistant
from benchmarks.measuring import verify
from benchmarks.process import ROOT
from benchmarks.serving import serve_async
from homeassistant.config_entries import ConfigEntryState
from homeassistant.setup import async_setup_component

# What a socket needs is allocated in these, as are timers.
SOCKETS = ("/asyncio/", "/aiohttp/", "/ssl.py")
# Seconds after which connections are closed that nobody uses.
IDLE = 31
PACKAGE = f"custom_components.{DOMAIN}"
# What a Home Assistant has loaded, whoever's entities it has.
PLATFORMS = ("binary_sensor", "button", "diagnostics", "image", "sensor")


def _modules() -> list[str]:
    """Return the names of the integration's modules."""
    folder = ROOT / "custom_components" / DOMAIN
    return [
        ".".join((PACKAGE, *path.relative_to(folder).with_suffix("").parts))
        for path in sorted(folder.rglob("*.py"))
        if path.name != "__init__.py"
    ]


async def _time_import() -> float:
    """Return the milliseconds that importing the integration takes."""
    async with home_assistant():
        for name in (*PLATFORMS, "media_source", "repairs", "system_health"):
            importlib.import_module(f"homeassistant.components.{name}")
        importlib.import_module("homeassistant.helpers.update_coordinator")
        # Made by the interpreter once after each update, so not part of a start.
        verify(right=not sys.dont_write_bytecode)
        verify(right=PACKAGE not in sys.modules)
        start = time.perf_counter()
        for name in _modules():
            importlib.import_module(name)
        return 1000 * (time.perf_counter() - start)


async def _time_set_up() -> float:
    """Return the milliseconds from the first import to the entities."""
    async with emulated() as world, home_assistant() as hass:
        for name in PLATFORMS:
            verify(right=await async_setup_component(hass, name, {}))
        await hass.async_block_till_done()
        verify(right=PACKAGE not in sys.modules)
        entry = entry_of(world)
        start = time.perf_counter()
        await hass.config_entries.async_add(entry)
        taken = 1000 * (time.perf_counter() - start)
        verify(right=entry.state is ConfigEntryState.LOADED)
        await hass.config_entries.async_unload(entry.entry_id)
        return taken


async def _weigh(servers: int) -> tuple[int, int]:
    """Return the bytes allocated for an account with many servers.

    That is all, and what was not allocated for the sockets for push.
    """
    tracemalloc.start()
    async with (
        emulated(servers=servers) as world,
        home_assistant() as hass,
        account_in(hass, world) as entry,
    ):
        verify(right=len(entry.runtime_data.servers) == servers)
        return await at_rest()


async def at_rest() -> tuple[int, int]:
    """Return the bytes that are allocated: all, and those not for sockets."""
    await asyncio.sleep(IDLE)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    by_file = tracemalloc.take_snapshot().statistics("filename")
    sockets = sum(
        each.size
        for each in by_file
        if any(part in each.traceback[0].filename for part in SOCKETS)
    )
    return size, size - sockets


if __name__ == "__main__":
    asyncio.run(
        serve_async(
            {
                "time_import": _time_import,
                "time_set_up": _time_set_up,
                "weigh": _weigh,
            }
        )
    )
