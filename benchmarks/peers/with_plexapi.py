"""python-plexapi. It cannot look sources up; the rest it does.

Run by the peers' Python: python -m benchmarks.peers.with_plexapi TARGET
"""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
import json
import sys
import time
from typing import Any
import warnings

from benchmarks.measuring import Target, call_rate, time_rows, verify
from benchmarks.serving import serve

# None of them has types, and they are not there for those who check ours.
MyPlexAccount: Any = import_module("plexapi.myplex").MyPlexAccount
MyPlexResource: Any = import_module("plexapi.myplex").MyPlexResource
PlexServer: Any = import_module("plexapi.server").PlexServer
Session: Any = import_module("requests").Session
HTTPAdapter: Any = import_module("requests.adapters").HTTPAdapter

# So many threads keep their connection, where requests' own limit is 10.
POOL_SIZE = 32


class _Peer:
    """What the parent may ask for."""

    def __init__(self, target: Target) -> None:
        # It has no setting for where plex.tv is.
        for kind, name in (
            (MyPlexAccount, "SIGNIN"),
            (MyPlexAccount, "key"),
            (MyPlexResource, "key"),
        ):
            url = getattr(kind, name).replace("https://plex.tv", target.url)
            setattr(kind, name, url)
        self._target = target
        self._session = Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=POOL_SIZE))
        # The emulated authority is trusted by nobody, whatever the environment says.
        self._session.verify = self._session.trust_env = False
        warnings.simplefilter("ignore")
        self._server = PlexServer(
            target.server_url, target.server_token, session=self._session
        )
        self._token: str | None = None

    def time_rows(self, count: int) -> list[float]:
        """Time all it can do, in a row."""
        operations = (self._sign_in, self._get_user, self._get_transient_token)
        return time_rows(operations, count)

    def call_rate(self, concurrency: int, duration: float) -> list[float]:
        """Get transient tokens from many threads."""
        return call_rate(self._get_transient_token, concurrency, duration)

    def connect(self, timeout: float | None, threads: int) -> float:
        """Return the seconds it takes to connect to all servers of the account."""
        self._sign_in()
        start = time.perf_counter()
        account = MyPlexAccount(token=self._token, session=self._session)

        def connect_to(resource: Any) -> None:
            server = resource.connect(timeout=timeout)
            verify(right=server.machineIdentifier == resource.clientIdentifier)

        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(connect_to, account.resources()):
                pass
        return time.perf_counter() - start

    def _sign_in(self) -> None:
        target = self._target
        account = MyPlexAccount(target.username, target.password, session=self._session)
        verify(right=account.uuid == target.uuid and bool(account.authToken))
        self._token = account.authToken

    def _get_user(self) -> None:
        account = MyPlexAccount(token=self._token, session=self._session)
        verify(
            right=account.uuid == self._target.uuid
            and account.subscriptionActive is True
        )

    def _get_transient_token(self) -> None:
        verify(right=self._server.createToken().startswith("transient-"))


if __name__ == "__main__":
    peer = _Peer(Target(**json.loads(sys.argv[1])))
    serve(
        {
            "time_rows": peer.time_rows,
            "call_rate": peer.call_rate,
            "connect": peer.connect,
        }
    )
