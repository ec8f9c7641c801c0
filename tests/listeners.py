"""Where else a server of the emulator answers."""

from .const import PLEX_DIRECT
from .plex_emulator import CertificateAuthority, Connection, MediaServer
from .plex_emulator.emulator import LOOPBACK
from .plex_emulator.host import Listener


async def listen(
    server: MediaServer, authority: CertificateAuthority, domain: str
) -> Listener:
    """Let a server answer by HTTPS for the names of a domain."""
    listener = server.add_listener(ssl_context=authority.server_context(f"*.{domain}"))
    await listener.start()
    return listener


async def hide(server: MediaServer, authority: CertificateAuthority) -> Connection:
    """Let a server be found by its address alone, and return where."""
    listener = await listen(server, authority, PLEX_DIRECT)
    hidden = Connection.plex_direct(
        "192.168.1.5", listener.port, domain=PLEX_DIRECT, local=True
    )
    server.listing.connections = [hidden]
    return hidden


async def move(server: MediaServer, authority: CertificateAuthority) -> Listener:
    """Let a server be somewhere else, and return where."""
    moved = await answer_elsewhere(server, authority)
    await server.listeners[0].stop()
    return moved


async def answer_elsewhere(
    server: MediaServer, authority: CertificateAuthority
) -> Listener:
    """Let plex.tv list another address of a server than before, and return where."""
    moved = server.add_listener(ssl_context=authority.server_context(*LOOPBACK))
    await moved.start()
    server.listing.connections = [Connection.at(moved.url)]
    return moved
