"""What makes films fit for players: a playlist and segments for each session."""

from dataclasses import dataclass, field
import time

MASTER = b"""#EXTM3U
#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=2000000,RESOLUTION=640x360
session/%s/base/index.m3u8
"""
INDEX = b"""#EXTM3U
#EXT-X-TARGETDURATION:4
#EXTINF:4,
00000.ts
#EXT-X-ENDLIST
"""
# Seconds after which a session counts as paused for too long if nobody has sent a ping,
# though all of it may have been fetched meanwhile.
PATIENCE = 300
SILENCE = {"index.m3u8": INDEX, "00000.ts": bytes(188 * 100)}


@dataclass(eq=False)
class Transcoder:
    """A transcoder, which makes the same of everything."""

    sessions: dict[str, str] = field(default_factory=dict)
    """The session of each client, which has one at a time."""
    made: dict[str, bytes] = field(default_factory=lambda: dict(SILENCE))
    master: bytes = MASTER
    most: int | None = None
    """How many sessions there may be at a time."""
    _pinged_at: dict[str, float] = field(default_factory=dict)

    def is_full(self, client: str) -> bool:
        """Return if there can't be a session of one more client."""
        others = self.sessions.keys() - {client}
        return self.most is not None and len(others) >= self.most

    def start(self, client: str, session: str) -> bytes:
        """Begin a session, which ends that which the client has."""
        self.sessions[client] = session
        self.ping(session)
        return self.master.replace(b"%s", session.encode())

    def ping(self, session: str) -> None:
        """Keep a session."""
        self._pinged_at[session] = time.monotonic()

    def file(self, session: str, name: str) -> bytes | None:
        """Return a playlist or a segment, None if the session has ended."""
        if session not in self.sessions.values():
            return None
        if time.monotonic() - self._pinged_at[session] >= PATIENCE:
            self.stop(session)
            return None
        return self.made.get(name)

    def stop(self, session: str) -> None:
        """End a session."""
        self.sessions = {
            client: each for client, each in self.sessions.items() if each != session
        }
