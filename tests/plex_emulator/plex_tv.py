"""The account API of plex.tv."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import clock
from .accounts import Account, AccountToken, signed_in_data, user_data
from .host import Host
from .pictures import draw_qr_code
from .pins import SHORT_LIFETIME, STRONG_LIFETIME, Pin, new_code
from .problems import (
    CODE_NEEDED,
    NO_CLIENT_IDENTIFIER,
    NO_CREDENTIALS,
    NOT_AUTHENTICATED,
    NOT_FOUND,
    PIN_EXPIRED,
    RATE_LIMITED,
    THROTTLED,
    WRONG_CODE,
    RefusedError,
)
from .recording import Received
from .replies import (
    HTML_TYPE,
    XML_TYPE,
    Answer,
    Data,
    errors_answer,
    html_answer,
    tv_answer,
)
from .resources import Wanted, resource_data
from .world import World

API = "/api/v2/"
PINS = "/api/v2/pins"
REMEMBERED_FOR = 14 * 24 * 60 * 60
# What stands in for app.plex.tv/auth.
AUTH_PAGE = Path(__file__).with_name("auth_page.html").read_bytes()


class PlexTv(Host):
    """Plex's own servers, as far as accounts go."""

    def __init__(self, world: World) -> None:
        """Make it know the accounts and devices of a world."""
        super().__init__("plex.tv", world.faults, world.requests)
        self._world = world
        self._tokens: dict[str, AccountToken] = {}
        self._failures: Counter[str] = Counter()
        self._routes: dict[tuple[str, str], Callable[[Received], Answer]] = {
            ("POST", f"{API}users/signin"): self._sign_in,
            ("DELETE", f"{API}users/signout"): self._sign_out,
            ("GET", f"{API}user"): self._user,
            ("GET", f"{API}resources"): self._resources,
            ("GET", f"{API}ping"): self._ping,
            ("POST", PINS): self._create_pin,
        }
        self.pins: list[Pin] = []
        self.failures_allowed = 10
        """How many failed sign-ins from one address it takes to be throttled."""
        self.poll_interval = 0.0
        """Seconds within which a second look at a pin is one too many."""
        self.expired_pins_found = False
        """Whether an expired pin is answered as one that nobody has claimed yet."""
        self.sign_out_status = 204

    @property
    def tokens(self) -> list[AccountToken]:
        """The tokens that are good now."""
        return list(dict.fromkeys(self._tokens.values()))

    def answer(self, received: Received) -> Answer:
        """Answer as plex.tv does."""
        path = received.path
        # A browser asks for it, and has no client identifier.
        if path.startswith(f"{PINS}/qr/"):
            return self._qr_code(path.removeprefix(f"{PINS}/qr/"))
        if path.startswith(API):
            try:
                return self._answer_v2(received)
            except RefusedError as refused:
                return errors_answer(
                    refused.problem.data,
                    refused.problem.status,
                    json=self.json_wanted(received),
                )
        if path == "/auth":
            return Answer(200, AUTH_PAGE, HTML_TYPE)
        if path.startswith("/users/") and path.endswith("/avatar"):
            return self._avatar(path.split("/")[2])
        return html_answer(404, "Not Found")

    def json_wanted(self, received: Received) -> bool:
        """Tell whether to answer with JSON, for which pins have a suffix, too."""
        asked = received.wants_json or received.path.endswith(".json")
        return asked and not self.xml_only

    def issue(self, account: Account, client_identifier: str) -> AccountToken:
        """Sign a client in, and out of what it was signed in with before."""
        for token in self.tokens_of(account):
            if token.client_identifier == client_identifier:
                self.revoke(token)
        token = AccountToken(
            text=self._world.secrets.mint("tv-token"),
            account=account,
            client_identifier=client_identifier,
            remember_expires_at=int(clock.now()) + REMEMBERED_FOR,
        )
        self._tokens[token.text] = token
        return token

    def revoke(self, token: AccountToken) -> None:
        """Make a token worthless, in every text it ever had."""
        for text in [text for text, known in self._tokens.items() if known is token]:
            del self._tokens[text]

    def rotate(self, token: AccountToken) -> str:
        """Give a token another text, which /user tells; the old one stays good."""
        token.text = self._world.secrets.mint("tv-token")
        self._tokens[token.text] = token
        return token.text

    def tokens_of(self, account: Account) -> list[AccountToken]:
        """Return the good tokens of an account."""
        return [token for token in self.tokens if token.account is account]

    def claim(self, code: str, account: Account) -> Pin:
        """Let an account confirm a link code."""
        for pin in self.pins:
            if pin.code.casefold() == code.casefold() and not pin.expired:
                pin.token = self.issue(account, pin.client_identifier)
                return pin
        raise RefusedError(PIN_EXPIRED)

    def expire_pins(self) -> None:
        """Let every link code be too old."""
        for pin in self.pins:
            pin.expires_at = clock.now()

    def _answer_v2(self, received: Received) -> Answer:
        if not received.client_identifier:
            raise RefusedError(NO_CLIENT_IDENTIFIER)
        path = received.path.removesuffix(".json")
        if route := self._routes.get((received.method, path)):
            return route(received)
        if received.method == "GET" and path.startswith(f"{PINS}/"):
            return self._pin(received, path.removeprefix(f"{PINS}/"))
        raise RefusedError(NOT_FOUND)

    def _reply(
        self, received: Received, root: str, data: Data | list[Data], status: int = 200
    ) -> Answer:
        return tv_answer(root, data, status, json=self.json_wanted(received))

    def _authenticate(self, received: Received) -> AccountToken:
        if token := self._tokens.get(received.token):
            return token
        raise RefusedError(NOT_AUTHENTICATED)

    def _sign_in(self, received: Received) -> Answer:
        login, password = received.field("login"), received.field("password")
        if not login or not password:
            raise RefusedError(NO_CREDENTIALS)
        if self._failures[received.remote] >= self.failures_allowed:
            raise RefusedError(THROTTLED)
        try:
            account = self._check(login, password, received.field("verificationCode"))
        except RefusedError as refused:
            # To be asked for the code is part of signing in.
            if refused.problem is not CODE_NEEDED:
                self._failures[received.remote] += 1
            raise
        token = self.issue(account, received.client_identifier)
        return self._reply(received, "user", signed_in_data(token), 201)

    def _check(self, login: str, password: str, code: str) -> Account:
        for account in self._world.accounts:
            if account.password is None or not account.known_as(login):
                continue
            expected = account.verification_code
            if expected and password == account.password + expected:
                return account
            if password != account.password:
                continue
            if expected and code != expected:
                raise RefusedError(WRONG_CODE if code else CODE_NEEDED)
            return account
        raise RefusedError(NOT_AUTHENTICATED)

    def _sign_out(self, received: Received) -> Answer:
        self.revoke(self._authenticate(received))
        return Answer(self.sign_out_status)

    def _user(self, received: Received) -> Answer:
        return self._reply(received, "user", user_data(self._authenticate(received)))

    def _ping(self, received: Received) -> Answer:
        token = self._authenticate(received)
        token.remember_expires_at = int(clock.now()) + REMEMBERED_FOR
        if self.json_wanted(received):
            return self._reply(received, "pong", {"pong": True})
        return Answer(200, b"<pong>true</pong>", XML_TYPE)

    def _resources(self, received: Received) -> Answer:
        viewer = self._authenticate(received).account
        wanted = Wanted(
            https=received.query.get("includeHttps") == "1",
            relay=received.query.get("includeRelay") == "1",
            ipv6=received.query.get("includeIPv6") == "1",
        )
        resources = [
            resource_data(
                server.listing,
                server.owner,
                wanted,
                token=server.access_token(viewer),
                share=server.shares.get(viewer),
            )
            for server in self._world.servers_of(viewer)
        ]
        resources += [
            resource_data(player.listing, viewer, wanted, token=player.token)
            for player in self._world.players
            if player.owner is viewer
        ]
        return self._reply(received, "resources", resources)

    def _create_pin(self, received: Received) -> Answer:
        strong = received.field("strong").casefold() in {"1", "true"}
        code = new_code(strong=strong)
        if strong:
            self._world.secrets.keep(code)
        pin = Pin(
            id=564964751 + len(self.pins),
            code=code,
            client_identifier=received.client_identifier,
            expires_at=clock.now() + (STRONG_LIFETIME if strong else SHORT_LIFETIME),
        )
        self.pins.append(pin)
        return self._reply(received, "pin", pin.data(self.url, None), 201)

    def _pin(self, received: Received, number: str) -> Answer:
        pin = next((pin for pin in self.pins if str(pin.id) == number), None)
        if pin is None or (pin.expired and not self.expired_pins_found):
            raise RefusedError(PIN_EXPIRED)
        if clock.now() - pin.polled_at < self.poll_interval:
            raise RefusedError(RATE_LIMITED)
        pin.polled_at = clock.now()
        mine = pin.client_identifier == received.client_identifier
        token = pin.token.text if pin.token and mine and not pin.expired else None
        return self._reply(received, "pin", pin.data(self.url, token))

    def _qr_code(self, code: str) -> Answer:
        if all(pin.code != code for pin in self.pins):
            return html_answer(404, "Not Found")
        return Answer(200, draw_qr_code(code), "image/png")

    def _avatar(self, uuid: str) -> Answer:
        for account in self._world.accounts:
            if account.user.uuid == uuid:
                return Answer(200, account.avatar, "image/png")
        return html_answer(404, "Not Found")
