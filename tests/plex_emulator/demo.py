"""The world that the demonstration and the end-to-end tests live in."""

from dataclasses import dataclass

from .accounts import Account
from .emulator import PlexEmulator
from .media_server import MediaServer
from .resources import Connection


@dataclass(frozen=True, slots=True)
class DemoWorld:
    """Ada's two servers and her stale one, and Grace's that Ada may use."""

    ada: Account
    """Signs in with a password and a code."""
    grace: Account
    """Signs in with a password alone."""
    linus: Account
    """Has no password, so needs a link code."""
    attic: MediaServer
    cellar: MediaServer
    stale: MediaServer
    library: MediaServer


async def build_demo_world(plex: PlexEmulator) -> DemoWorld:
    """Fill an emulator with a small family of everything."""
    ada = plex.add_account(
        "ada",
        password="password-ada-countess",
        verification_code="314159",
        plex_pass=True,
    )
    grace = plex.add_account("grace", password="password-grace-admiral")
    linus = plex.add_account("linus", password=None)
    attic = await plex.add_server("Attic", owner=ada)
    cellar = await plex.add_server("Cellar", owner=ada)
    stale = await plex.add_server("Old laptop", owner=ada, stale=True)
    library = await plex.add_server("Library", owner=grace)
    await plex.add_server("Workshop", owner=linus)
    # Not in Ada's house, so she needs an address that is not in it either.
    remote = library.url.replace("127.0.0.1", "localhost")
    library.listing.connections.append(Connection.at(remote, local=False))
    plex.share(library, ada)
    plex.add_player("Living room TV", owner=ada)
    return DemoWorld(ada, grace, linus, attic, cellar, stale, library)
