"""One Plex Media Server: who may ask it what."""

from collections.abc import Callable
from dataclasses import dataclass, field
import mimetypes
import re
from ssl import SSLContext
from typing import Any, override
import zlib

from aiohttp import web

from . import clock
from .accounts import Account
from .host import Host
from .library import Entry, Library, first_characters, initial, page
from .pictures import POSTER_SIZE, draw_poster
from .problems import BAD_REQUEST, FORBIDDEN, NOT_FOUND, UNAUTHORIZED, RefusedError
from .push import PUSH_PATHS, Push
from .recording import Received
from .replies import Answer, Data, html_answer, pms_answer
from .resources import Connection, Listing, Share
from .transcoder import Transcoder
from .world import World

TRANSIENT_LIFETIME = 48 * 60 * 60
SOURCE = re.compile(r"(?P<scheme>server|provider)://(?P<name>[^/\s]+)(/\S*)?")
BYTES = re.compile(r"bytes=(\d*)-(\d*)")
SINCE_SECURITY_RESOURCES = (1, 15, 4)


@dataclass(frozen=True, slots=True)
class Access:
    """Whose token a request came with, and what it may do."""

    account: Account | None
    """None where the server lets in whoever is on its network."""
    owner: bool
    transient: bool = False


@dataclass(frozen=True, slots=True)
class TransientToken:
    """A short-lived token with the rights of the one it was minted from."""

    text: str
    access: Access
    issued_at: float

    @property
    def expires_at(self) -> float:
        """When it dies, unless the server restarts before."""
        return self.issued_at + TRANSIENT_LIFETIME


@dataclass(eq=False)
class Provider:
    """A media provider in the cloud."""

    identifier: str
    name: str
    connections: list[Connection] = field(default_factory=list)


class MediaServer(Host):
    """A Plex Media Server."""

    def __init__(
        self, label: str, world: World, owner: Account, listing: Listing
    ) -> None:
        """Make a server that has yet to be started."""
        super().__init__(label, world.faults, world.requests)
        self._world = world
        self._tokens: dict[str, Account] = {}
        self._transient: dict[str, TransientToken] = {}
        self._routes: dict[str, Callable[[Received, Access], Answer]] = {
            "/": self._root,
            "/:/prefs": self._preferences,
            "/myplex/account": self._myplex_account,
            "/security/token": self._security_token,
            "/security/resources": self._security_resources,
        }
        self.owner = owner
        self.listing = listing
        self.shares: dict[Account, Share] = {}
        self.claimed = True
        self.push = Push()
        self.library = Library()
        self.transcoder = Transcoder()
        self.publishes: bool | None = True
        """Whether its owner wants it to be reached from outside; None is not told."""
        self.mapping = ("mapped", "")
        """What has come of that: a state, and an error."""
        self.api_version = "1.2.3"
        self.transient_tokens_may_mint = True
        self.sources: list[MediaServer | Provider] | None = None
        """What it can look up; None for all that its owner sees and a provider."""
        self.unknown_source_status = 404
        """Status for a source it does not know; 200 is an answer without a device."""
        self.device_as_array = False
        self.port_as_string = False

    @property
    def name(self) -> str:
        """The name its owner gave it."""
        return self.listing.name

    @name.setter
    def name(self, name: str) -> None:
        self.listing.name = name

    @property
    def machine_identifier(self) -> str:
        """The only thing about it that never changes."""
        return self.listing.client_identifier

    @property
    def version(self) -> str:
        """The version it runs."""
        return self.listing.product_version

    @property
    def transient_tokens(self) -> list[TransientToken]:
        """The transient tokens that are good now."""
        now = clock.now()
        return [token for token in self._transient.values() if now < token.expires_at]

    def access_token(self, account: Account) -> str:
        """Return the token that an account has for this server."""
        for text, holder in self._tokens.items():
            if holder is account:
                return text
        text = self._world.secrets.mint("server-token")
        self._tokens[text] = account
        return text

    def mint(self, access: Access) -> TransientToken:
        """Make a transient token with the rights of another token."""
        token = TransientToken(
            self._world.secrets.mint_transient(self.name), access, clock.now()
        )
        self._transient[token.text] = token
        return token

    async def restart(self) -> None:
        """Stop, lose the transient tokens, and start again."""
        await self.stop()
        self.forget_tokens()
        await self.start()

    def forget_tokens(self) -> None:
        """Make every transient token worthless, as a restart does."""
        self._transient.clear()

    async def encrypt(self, context: SSLContext | None) -> None:
        """Answer at the same port with encryption, or without."""
        (before,) = self.listeners
        await before.close()
        self.listeners.clear()
        after = self.add_listener(port=before.port, ssl_context=context)
        await after.start()
        self.listing.connections = [
            Connection.at(after.url) if connection.uri == before.url else connection
            for connection in self.listing.connections
        ]

    def revoke(self, account: Account) -> None:
        """Make every token of an account worthless."""
        self._tokens = {
            text: holder
            for text, holder in self._tokens.items()
            if holder is not account
        }
        self._transient = {
            text: token
            for text, token in self._transient.items()
            if token.access.account is not account
        }

    def answer(self, received: Received) -> Answer:
        """Answer as a media server does."""
        if received.path == "/identity":
            return self._reply(received, self._identity())
        try:
            access = self._authenticate(received)
            route = self._routes.get(received.path, self._library)
            return route(received, access)
        except RefusedError as refused:
            return html_answer(refused.problem.status, refused.problem.message)

    @override
    async def listen(
        self, request: web.BaseRequest, received: Received
    ) -> web.StreamResponse:
        """Tell whoever may know what happens."""
        if received.path in PUSH_PATHS:
            return await self.push.accept(request, received, self._authenticate)
        return self.answer(received).response()

    async def map_port(self, state: str, error: str = "") -> None:
        """Let the outside find the server, or not, and tell so."""
        self.mapping = state, error
        await self.push.send(
            "reachability", ReachabilityNotification=[{"reachability": not error}]
        )

    def _reply(self, received: Received, container: Data) -> Answer:
        return pms_answer(container, json=self.json_wanted(received))

    def _authenticate(self, received: Received) -> Access:
        text = received.token
        if account := self._tokens.get(text):
            return Access(account, owner=account is self.owner)
        token = self._transient.get(text)
        if token and clock.now() < token.expires_at:
            return token.access
        if not self.claimed:
            return Access(None, owner=True)
        raise RefusedError(UNAUTHORIZED)

    def _identity(self) -> Data:
        return {
            "size": 0,
            "apiVersion": self.api_version,
            "claimed": self.claimed,
            "machineIdentifier": self.machine_identifier,
            "version": self.version,
        }

    def _root(self, received: Received, access: Access) -> Answer:
        container: Data = {
            "size": 1,
            "friendlyName": self.name,
            "machineIdentifier": self.machine_identifier,
            "myPlex": self.claimed,
            "myPlexUsername": self.owner.user.email if self.claimed else "",
            "version": self.version,
            "Directory": [{"count": 1, "key": "library", "title": "library"}],
        }
        return self._reply(received, container)

    def _preferences(self, received: Received, access: Access) -> Answer:
        _require_owner(access)
        settings: list[Data] = [
            {"id": "FriendlyName", "type": "text", "value": self.name}
        ]
        if self.publishes is not None:
            settings.append(
                {
                    "id": "PublishServerOnPlexOnlineKey",
                    "type": "bool",
                    "hidden": True,
                    "value": self.publishes,
                }
            )
        return self._reply(received, {"size": len(settings), "Setting": settings})

    def _myplex_account(self, received: Received, access: Access) -> Answer:
        _require_owner(access)
        state, error = self.mapping
        account: Data = {
            "authToken": self._world.secrets.mint("myplex-token"),
            "username": self.owner.user.email if self.claimed else "",
            "signInState": "ok" if self.claimed else "none",
            "mappingState": state,
            "mappingError": error,
        }
        return pms_answer(account, json=self.json_wanted(received), root="MyPlex")

    def _library(self, received: Received, access: Access) -> Answer:
        """Answer what is about the libraries, all that is left."""
        library, parts = self.library, received.path.strip("/").split("/")
        match parts:
            case ["library"]:
                directory = [{"key": "sections", "title": "Library Sections"}]
                return self._reply(
                    received, {"title1": "Plex Library", "Directory": directory}
                )
            case ["library", "sections"]:
                sections = [section.data() for section in library.sections]
                return self._reply(
                    received, {"size": len(sections), "Directory": sections}
                )
            case ["library", "sections", key, *rest] if section := library.section(key):
                match rest:
                    case ["all"]:
                        kind, artist = map(received.field, ("type", "artist.id"))
                        return self._page(
                            received, library.listed(section, kind, artist)
                        )
                    case ["firstCharacter"] if section.by_character:
                        return self._reply(received, first_characters(section))
                    case ["firstCharacter", letter]:
                        return self._page(
                            received,
                            [e for e in section.entries if initial(e) == letter],
                        )
                    case ["composite", _]:
                        return _picture(section.title)
            case ["library", "parts", *_] if content := library.find_file(
                received.path
            ):
                return self._part(received, content)
            case ["photo", ":", "transcode"]:
                return self._photo(received)
            case ["video" | "music", ":", "transcode", "universal", *rest]:
                return self._transcode(received, rest)
            case ["library", "metadata", key, *rest] if entry := library.find(key):
                match rest:
                    case [] if entry not in library.playlists:
                        item = entry.data() | library.section_of(entry)
                        return self._reply(received, {"size": 1, "Metadata": [item]})
                    case ["children"]:
                        children = [e for e in entry.children if not e.is_single]
                        return self._page(received, children)
                    case ["thumb" | "art", *_]:
                        return _picture(entry.title)
            case ["library", "recentlyAdded"]:
                return self._page(received, list(library.entries())[::-1])
            case ["hubs", "continueWatching"]:
                hub = {"type": "mixed", "hubIdentifier": "continueWatching"}
                hub |= page(library.watching, 0, int(received.field("count") or 6))
                return self._reply(received, {"size": 1, "Hub": [hub]})
            case ["hubs", "search"]:
                return self._search(received)
            case ["playlists"]:
                return self._page(received, library.playlists)
            case ["playlists", key, *rest] if (
                entry := library.find(key)
            ) in library.playlists:
                assert entry
                return self._page(received, entry.children if rest else [entry])
        raise RefusedError(NOT_FOUND)

    def _part(self, received: Received, content: bytes) -> Answer:
        """Answer a file, or as much of it as is wanted."""
        kind = mimetypes.guess_type(received.path)[0] or "video/x-matroska"
        headers = {
            "Accept-Ranges": "bytes",
            "ETag": f'"{len(content):x}-{zlib.crc32(content[:1024]):x}"',
            "Last-Modified": "Tue, 12 Nov 2024 00:00:00 GMT",
        }
        wanted = BYTES.fullmatch(received.headers.get("Range", ""))
        if wanted is None:
            return Answer(200, content, kind, headers)
        start, end = wanted[1], wanted[2]
        first = int(start) if start else len(content) - int(end)
        last = int(end) if start and end else len(content) - 1
        if first >= len(content):
            headers["Content-Range"] = f"bytes */{len(content)}"
            return Answer(416, b"", kind, headers)
        some = content[first : last + 1]
        end_at = first + len(some) - 1
        headers["Content-Range"] = f"bytes {first}-{end_at}/{len(content)}"
        return Answer(206, some, kind, headers)

    def _photo(self, received: Received) -> Answer:
        """Answer a picture in the size that is wanted, if it is one of ours."""
        match received.field("url").strip("/").split("/"):
            case ["library", "metadata", key, "thumb" | "art", *_]:
                entry = self.library.find(key)
            case _:
                entry = None
        if entry is None:
            raise RefusedError(NOT_FOUND)
        size = int(received.field("width")), int(received.field("height"))
        return _picture(entry.title, size)

    def _transcode(self, received: Received, path: list[str]) -> Answer:
        """Answer what a player fetches of a film that is made fit for it."""
        client = received.value("X-Plex-Client-Identifier")
        match path:
            case ["start.m3u8"]:
                _, _, kind, key = received.field("path").split("/")
                if received.field("protocol") != "hls" or not client:
                    raise RefusedError(BAD_REQUEST)
                if kind != "metadata" or self.library.find(key) is None:
                    raise RefusedError(NOT_FOUND)
                if self.transcoder.is_full(client):
                    return Answer(503)
                session = received.field("session")
                body = self.transcoder.start(client, session)
                return Answer(200, body, "application/vnd.apple.mpegurl")
            case ["ping"]:
                self.transcoder.ping(received.field("session"))
                return Answer()
            case ["stop"]:
                self.transcoder.stop(received.field("session"))
                return Answer()
            case ["session", session, "base", name]:
                content = self.transcoder.file(session, name)
                if content is not None and name.endswith(".m3u8"):
                    return Answer(200, content, "application/vnd.apple.mpegurl")
                if content is not None:
                    return Answer(200, content, "video/mp2t")
        raise RefusedError(NOT_FOUND)

    def _search(self, received: Received) -> Answer:
        """Find what has a text in its title, by what it is."""
        query = received.field("query").casefold()
        if not query:
            raise RefusedError(BAD_REQUEST)
        hubs: dict[str, list[Entry]] = {}
        for entry in self.library.entries():
            if query in entry.title.casefold():
                hubs.setdefault(entry.type, []).append(entry)
        limit = int(received.field("limit") or 3)
        found = [
            {"type": kind, "hubIdentifier": kind, "title": f"{kind}s"}
            | page(entries, 0, limit)
            for kind, entries in hubs.items()
        ]
        return self._reply(received, {"size": len(found), "Hub": found})

    def _page(self, received: Received, entries: list[Entry]) -> Answer:
        """Answer some of a list."""
        start = int(received.value("X-Plex-Container-Start") or 0)
        size = received.value("X-Plex-Container-Size")
        return self._reply(received, page(entries, start, int(size) if size else None))

    def _security_token(self, received: Received, access: Access) -> Answer:
        if received.field("type") != "delegation" or received.field("scope") != "all":
            raise RefusedError(BAD_REQUEST)
        if access.account is None:
            raise RefusedError(FORBIDDEN)
        if access.transient and not self.transient_tokens_may_mint:
            raise RefusedError(FORBIDDEN)
        token = self.mint(Access(access.account, access.owner, transient=True))
        return self._reply(received, {"size": 0, "token": token.text})

    def _security_resources(self, received: Received, access: Access) -> Answer:
        too_old = self._version_numbers() < SINCE_SECURITY_RESOURCES
        if too_old or received.method != "GET":
            raise RefusedError(NOT_FOUND)
        if access.account is None or not access.owner:
            raise RefusedError(FORBIDDEN)
        match = SOURCE.fullmatch(received.field("source"))
        if match is None:
            raise RefusedError(BAD_REQUEST)
        source = self._find_source(match["scheme"], match["name"])
        if source is None:
            return self._unknown_source(received)
        device = self._device(source, access.account)
        listed: Any = [device] if self.device_as_array else device
        return self._reply(received, {"size": 1, "Device": listed})

    def _unknown_source(self, received: Received) -> Answer:
        if self.unknown_source_status == 200:
            return self._reply(received, {"size": 0})
        titles = {400: BAD_REQUEST, 403: FORBIDDEN, 404: NOT_FOUND}
        raise RefusedError(titles[self.unknown_source_status])

    def _version_numbers(self) -> tuple[int, ...]:
        numbers = self.version.partition("-")[0].split(".")
        return tuple(map(int, numbers))

    def _find_source(self, scheme: str, name: str) -> MediaServer | Provider | None:
        known = self.sources
        if known is None:
            known = [*self._world.servers_of(self.owner), *self._world.providers]
        for source in known:
            if isinstance(source, MediaServer):
                if (scheme, name) == ("server", source.machine_identifier):
                    return source
            elif (scheme, name) == ("provider", source.identifier):
                return source
        return None

    def _device(self, source: MediaServer | Provider, account: Account) -> Data:
        if isinstance(source, MediaServer):
            owner = source.owner
            access = Access(account, owner=owner is account, transient=True)
            return {
                "name": f"{source.name} ({owner.user.title})",
                "clientIdentifier": source.machine_identifier,
                "accessToken": source.mint(access).text,
                "Connection": self._connections(source.listing.connections),
            }
        return {
            "name": source.name,
            "clientIdentifier": source.identifier,
            "accessToken": self._world.secrets.mint_transient(self.name),
            "Connection": self._connections(source.connections),
        }

    def _connections(self, connections: list[Connection]) -> list[Data]:
        return [self._connection(connection) for connection in connections]

    def _connection(self, connection: Connection) -> Data:
        port: int | str = connection.port
        data: Data = {
            "protocol": connection.protocol,
            "address": connection.address,
            "port": str(port) if self.port_as_string else port,
            "uri": connection.uri,
            "local": connection.local,
        }
        # Only a relay says whether it is one.
        return data | {"relay": True} if connection.relay else data


def _require_owner(access: Access) -> None:
    if not access.owner:
        raise RefusedError(FORBIDDEN)


def _picture(title: str, size: tuple[int, int] = POSTER_SIZE) -> Answer:
    return Answer(200, draw_poster(title, *size), "image/jpeg")
