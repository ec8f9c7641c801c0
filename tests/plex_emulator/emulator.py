"""The emulator as a test or the demonstration starts it."""

import asyncio
import hashlib
import socket
from ssl import SSLContext
from typing import Self

from .accounts import Account, Service, User
from .certificates import CertificateAuthority
from .control import Control
from .host import Host, reserve
from .media_server import MediaServer, Provider
from .pins import Pin
from .plex_tv import PlexTv
from .resources import VERSION, Connection, Listing, Player, Share
from .world import World

FIRST_ACCOUNT_ID = 10_000_001
PUBLIC_IPV6 = "2001:0db8:0000:0000:0000:0000:0000:0001"
# By what names and addresses a server can be reached in the tests.
LOOPBACK = ("127.0.0.1", "::1", "localhost")
PODCASTS = "tv.plex.provider.podcasts"


class PlexEmulator(World):
    """A plex.tv and any number of Plex Media Servers, on loopback addresses."""

    def __init__(self, *, authority: CertificateAuthority | None = None) -> None:
        """Make a world without anyone in it.

        Its servers have certificates of the authority, or none without one.
        """
        super().__init__()
        self.authority = authority
        self._sockets: list[socket.socket] = []
        self.tv = PlexTv(self)

    async def __aenter__(self) -> Self:
        """Start plex.tv."""
        self.tv.control = Control(self).answer
        self.tv.add_listener()
        await self.tv.start()
        # Taken as long as the emulator runs, so that nothing else answers there.
        refusing, silent = reserve("127.0.0.1"), reserve("127.0.0.1")
        silent.listen()
        self._sockets += [refusing, silent]
        self.refusing_port: int = refusing.getsockname()[1]
        self.silent_port: int = silent.getsockname()[1]
        domain = "podcasts.provider.plex.invalid"
        connection = Connection.at(f"https://{domain}", local=False)
        self.providers.append(Provider(PODCASTS, "Podcasts", [connection]))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop every host and give all ports back."""
        hosts: list[Host] = [self.tv, *self.servers]
        await asyncio.gather(*(host.close() for host in hosts))
        for reserved in self._sockets:
            reserved.close()

    @property
    def url(self) -> str:
        """Where plex.tv is."""
        return self.tv.url

    @property
    def personal(self) -> list[str]:
        """What tells who someone is or which device is theirs."""
        values = [
            value
            for account in self.accounts
            for value in (
                account.user.email,
                account.user.username,
                account.user.title,
                account.user.friendly_name,
                account.user.uuid,
                str(account.user.id),
            )
        ]
        devices: list[MediaServer | Player] = [*self.servers, *self.players]
        for device in devices:
            listing = device.listing
            values += [listing.name, listing.client_identifier, listing.public_address]
            values += [connection.uri for connection in listing.connections]
        values += [token.client_identifier for token in self.tv.tokens]
        return [value for value in dict.fromkeys(values) if value]

    def add_account(
        self,
        username: str,
        *,
        password: str | None,
        verification_code: str | None = None,
        plex_pass: bool = False,
    ) -> Account:
        """Let someone have an account, without a password if there is none."""
        uuid = identifier(username)[:16]
        user = User(
            id=FIRST_ACCOUNT_ID + len(self.accounts),
            uuid=uuid,
            username=username,
            title=username,
            email=f"{username}@plex-user.example",
            thumb=f"{self.url}/users/{uuid}/avatar?c=1724402119",
        )
        token = self.secrets.mint("provider-token")
        endpoint = "https://epg.provider.plex.invalid"
        user.services.append(Service("epg", endpoint, token))
        account = Account(user, password, verification_code)
        if plex_pass:
            account.subscribe()
        for secret in (password, verification_code):
            if secret:
                self.secrets.keep(secret)
        self.accounts.append(account)
        return account

    async def add_server(
        self, name: str, *, owner: Account, stale: bool = False, secure: bool = True
    ) -> MediaServer:
        """Let an account own one more server; a stale one has been gone for years.

        One that is not `secure` speaks plain HTTP, even if there is an authority.
        """
        label = self._label(name)
        listing = Listing(
            name=name,
            product="Plex Media Server",
            product_version=VERSION,
            platform=None if stale else "Linux",
            platform_version=None if stale else "6.12",
            device=None if stale else "Docker Container",
            client_identifier=identifier(label, owner.username),
            provides="server",
            presence=not stale,
        )
        server = MediaServer(label, self, owner, listing)
        server.add_listener(ssl_context=self._context(encrypt=secure))
        if not stale:
            await server.start()
        listing.connections = self.usual_connections(server)
        self.servers.append(server)
        return server

    async def encrypt_server(self, server: MediaServer, *, encrypt: bool) -> None:
        """Let its owner turn secure connections on or off."""
        await server.encrypt(self._context(encrypt=encrypt))

    def _context(self, *, encrypt: bool) -> SSLContext | None:
        """Return what to encrypt with, if there is an authority."""
        if self.authority is None or not encrypt:
            return None
        return self.authority.server_context(*LOOPBACK)

    async def remove_server(self, server: MediaServer) -> None:
        """Let a server be gone for good."""
        self.servers.remove(server)
        await server.close()

    def usual_connections(self, server: MediaServer) -> list[Connection]:
        """Return what a server in a container advertises; only one of them answers."""
        refusing = self.refusing_port
        return [
            Connection.plex_direct("172.17.0.2", refusing, local=True),
            Connection.at(server.url),
            Connection.at("https://plex.example.invalid:443", local=False),
            Connection.plex_direct("203.0.113.8", refusing),
            Connection.plex_direct(PUBLIC_IPV6, refusing, address="::1"),
            Connection.plex_direct("198.51.100.5", refusing, relay=True),
        ]

    def share(
        self,
        server: MediaServer,
        account: Account,
        *,
        home: bool = False,
        public_address_matches: bool = False,
    ) -> None:
        """Let someone else use a server."""
        server.shares[account] = Share(home, public_address_matches)

    def unshare(self, server: MediaServer, account: Account) -> None:
        """Let them not use it any more."""
        del server.shares[account]
        server.revoke(account)

    def add_player(self, name: str, *, owner: Account) -> Player:
        """Let plex.tv list an app that plays."""
        listing = Listing(
            name=name,
            product="Plex for Android (TV)",
            product_version="10.26.0",
            platform="Android",
            platform_version="14",
            device="BRAVIA 4K",
            client_identifier=identifier(name, owner.username),
            provides="client,player,pubsub-player",
            relay=False,
            connections=[Connection.at(f"http://127.0.0.1:{self.refusing_port}")],
        )
        player = Player(listing, owner, self.secrets.mint("player-token"))
        self.players.append(player)
        return player

    def change_password(self, account: Account, password: str) -> None:
        """Give an account another password; its tokens stay good."""
        account.password = self.secrets.keep(password)

    def sign_out_everywhere(self, account: Account) -> None:
        """Make every token of an account worthless, on plex.tv and on every server."""
        for token in self.tv.tokens_of(account):
            self.tv.revoke(token)
        for server in self.servers:
            server.revoke(account)

    def claim_pin(self, code: str, account: Account) -> Pin:
        """Let someone type a link code at plex.tv/link."""
        return self.tv.claim(code, account)

    def _label(self, name: str) -> str:
        """Return a name for the recordings, where each server needs its own."""
        taken = {server.label for server in self.servers}
        number = 1
        label = name
        while label in taken:
            number += 1
            label = f"{name} {number}"
        return label


def identifier(*names: str) -> str:
    """Return 40 hexadecimal digits that are always the same for the same names."""
    return hashlib.sha256("/".join(names).encode()).hexdigest()[:40]
