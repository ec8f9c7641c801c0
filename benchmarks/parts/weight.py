"""What the integration adds to a Home Assistant that is up: time and memory.

Each round is a process of its own. `import_ms` is the integration's own modules, when
the parts of Home Assistant they need are there; `setup_ms` is all from the first import
of such a module to the entities of an account with one server. Memory is what Python
has allocated at rest with a hundred servers more than ten: `kb_per_server`
without what its socket for push takes, `kb_per_server_and_socket` with it.
`kb_per_bare_server` is what Home Assistant needs for a device with the same entities
and a coordinator that does nothing, and `per_bare_server` how many times as much a
server takes.
"""

from benchmarks.figures import Report, at_most
from benchmarks.process import Child

ROUNDS = 5
FEW, MANY = 10, 110


async def run(report: Report) -> None:
    """Start as many Home Assistants as there are rounds."""
    imports, set_ups = [], []
    for _ in range(ROUNDS):
        async with Child.module("parts.newly_started") as child:
            imports.append(await child("time_import"))
        async with Child.module("parts.newly_started") as child:
            set_ups.append(await child("time_set_up"))
    report.add("weight.import_ms", imports, unit="ms", goal=at_most(35))
    sizes, bare_sizes = {}, {}
    for servers in (FEW, MANY):
        async with Child.module("parts.newly_started") as child:
            sizes[servers] = await child("weigh", servers=servers)
        async with Child.module("parts.bare_servers") as child:
            _, bare_sizes[servers] = await child("weigh", servers=servers)
    everything, beside = (
        (many - few) / (MANY - FEW) / 1000
        for few, many in zip(sizes[FEW], sizes[MANY], strict=True)
    )
    report.add("weight.kb_per_server", [beside], unit="kB")
    report.add("weight.kb_per_server_and_socket", [everything], unit="kB")
    bare = (bare_sizes[MANY] - bare_sizes[FEW]) / (MANY - FEW) / 1000
    report.add("weight.kb_per_bare_server", [bare], unit="kB")
    report.add("weight.per_bare_server", [beside / bare], goal=at_most(1.3))
    report.add("weight.setup_ms", set_ups, unit="ms")
