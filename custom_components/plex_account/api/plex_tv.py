"""The account API of plex.tv."""

from collections.abc import Callable
from typing import Final

from aiohttp import ClientSession
from yarl import URL

from .exceptions import PlexResponseError
from .http import DETAILS_SIZE, LIST_SIZE, TOKEN_SIZE, ClientIdentity, PlexSession
from .models import Picture, Pin, User
from .reading import Json, parse_url, required
from .resources import ServerList

PLEX_TV_URL: Final = "https://plex.tv"
AUTH_PAGE_URL: Final = "https://app.plex.tv/auth"
# Not SVG, which can do more than be looked at.
PICTURE_TYPES: Final = {"image/gif", "image/jpeg", "image/png", "image/webp"}
# Where plex.tv has its pictures, and leads to for the avatar of who has not chosen one.
_PICTURE_HOSTS: Final = (".plex.tv", ".gravatar.com", ".wp.com")
MAX_REDIRECTS: Final = 3


class PlexTvClient:
    """A client of plex.tv for one account.

    The session is the caller's and stays open. `token` is the account's token, and
    `server_url` the address of plex.tv or of what stands in for it. Every method raises
    a PlexError if plex.tv cannot be reached or refuses; what is said of exceptions
    below is about the kinds that a caller may want to tell apart.
    """

    def __init__(
        self,
        session: ClientSession,
        identity: ClientIdentity,
        *,
        token: str | None = None,
        server_url: str = PLEX_TV_URL,
    ) -> None:
        """Keep what every request needs; nothing is sent."""
        self._session = PlexSession(session, identity)
        self._identity = identity
        self._api = URL(server_url) / "api/v2"
        self.token = token

    async def sign_in(
        self, login: str, password: str, *, verification_code: str | None = None
    ) -> User:
        """Sign in and keep the token that plex.tv issues.

        `login` is the user name or the e-mail address. Accounts with two-factor
        authentication need a `verification_code` as well.
        Source: POST /api/v2/users/signin. It is never tried again by itself.

        Raises PlexTwoFactorRequiredError (right password, no code),
        PlexInvalidTwoFactorCodeError, PlexThrottledError (too many failures from this
        IP address) or another PlexAuthenticationError (wrong login or password).
        """
        form = {"login": login, "password": password, "rememberMe": "true"}
        if verification_code is not None:
            form["verificationCode"] = verification_code
        user = await self._request(
            "POST", "users/signin", DETAILS_SIZE, User.from_json, form=form
        )
        self.token = required(user.auth_token, "token")
        return user

    async def create_pin(self, *, strong: bool = False) -> Pin:
        """Return a new code, of four characters for plex.tv/link.

        A `strong` one is longer, and for `auth_url`.
        Source: POST /api/v2/pins.
        """
        params = {"strong": "true"} if strong else None
        return await self._request(
            "POST", "pins", TOKEN_SIZE, Pin.from_json, params=params
        )

    def auth_url(self, pin: Pin, forward_url: str) -> str:
        """Return the page on which a user signs this client in by a strong code.

        Plex sends the user to `forward_url` afterwards. What stands in for plex.tv has
        to have such a page itself.
        """
        page = URL(AUTH_PAGE_URL)
        if self._api.origin() != URL(PLEX_TV_URL):
            page = self._api.origin() / "auth"
        # What follows is not sent, but read by the page. Its first character is needed.
        query = page.with_query(
            {
                "clientID": self._identity.client_identifier,
                "code": pin.code,
                "context[device][product]": self._identity.product,
                "forwardUrl": forward_url,
            }
        ).raw_query_string
        return f"{page}#?{query}"

    async def get_pin(self, pin_id: int) -> Pin:
        """Return a code that this client identifier created, with its token once used.

        Source: GET /api/v2/pins/{id}.
        Raises PlexNotFoundError if the code has expired.
        """
        return await self._request("GET", f"pins/{pin_id}", TOKEN_SIZE, Pin.from_json)

    async def get_user(self) -> User:
        """Return the account's details.

        Source: GET /api/v2/user.
        Raises PlexAuthenticationError if the token is dead; no other error says so.
        """
        return await self._request("GET", "user", DETAILS_SIZE, User.from_json)

    async def get_servers(self) -> ServerList:
        """Return the servers that the account owns or that are shared with it.

        Source: GET /api/v2/resources, with secure, relayed and IPv6 connections.
        Raises PlexAuthenticationError if the token is dead.
        """
        return await self._request(
            "GET",
            "resources",
            LIST_SIZE,
            ServerList.from_json,
            params={"includeHttps": "1", "includeRelay": "1", "includeIPv6": "1"},
        )

    async def get_picture(self, picture_url: str) -> Picture:
        """Return a picture of plex.tv: a user's `thumb`, or the `qr` code of a PIN.

        Asked once, without the token, and only of plex.tv, what stands in for it, and
        Gravatar, to which it redirects: a client must not be made to ask any host that
        an answer names. The others are not told who asks.
        Raises PlexResponseError for another host, and for what is no picture.
        """
        for _ in range(1 + MAX_REDIRECTS):
            url = parse_url(picture_url)
            if url is None or not (
                url.origin() == self._api.origin()
                or (url.scheme == "https" and f".{url.host}".endswith(_PICTURE_HOSTS))
            ):
                raise PlexResponseError("The picture is not at plex.tv")
            answer = await self._session.request(
                "GET",
                url,
                size=LIST_SIZE,
                retries=0,
                anonymous=url.origin() != self._api.origin(),
                may_redirect=True,
            )
            if answer.location is None:
                break
            picture_url = answer.location
        if answer.content_type not in PICTURE_TYPES or not answer.body:
            raise PlexResponseError("The picture is none", status=answer.status)
        return Picture(content=answer.body, content_type=answer.content_type)

    async def ping(self) -> None:
        """Extend the life of the token at plex.tv.

        Source: GET /api/v2/ping.
        Raises PlexAuthenticationError if the token is dead.
        """
        await self._request("GET", "ping", TOKEN_SIZE, _pong)

    async def sign_out(self) -> None:
        """Make the token invalid and remove this client from the account's devices.

        Source: DELETE /api/v2/users/signout.
        """
        await self._request("DELETE", "users/signout", TOKEN_SIZE, _anything)
        self.token = None

    async def _request[T](
        self,
        method: str,
        path: str,
        size: int,
        reader: Callable[[Json], T],
        *,
        params: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> T:
        """Send a request, with the token once there is one, and read the answer."""
        answer = await self._session.request(
            method,
            # yarl remembers what it has parsed, but not what it has joined.
            URL(f"{self._api}/{path}"),
            size=size,
            token=self.token,
            params=params,
            form=form,
        )
        return await answer.read(reader)


def _pong(body: Json) -> None:
    """Read the answer to a ping."""
    if not isinstance(body, dict) or "pong" not in body:
        raise PlexResponseError("No pong in the answer")


def _anything(body: Json) -> None:
    """Read an answer that only has to be Plex's."""
