"""What a fault does to a request, as far as the client can tell."""

from enum import Enum, auto


class Effect(Enum):
    """Faults with the same effect look the same to the user."""

    NONE = auto()
    """The answer is all right, if odd."""
    OTHER_TYPE = auto()
    """It is said to be something else: bad for the avatar only."""
    OTHER_FIELDS = auto()
    """It is JSON, if odd: bad where something else was asked for."""
    OTHER_SHAPE = auto()
    """It is JSON, but not what was asked for: bad where the answer matters."""
    NONSENSE = auto()
    """It is nothing that Plex sends."""
    REFUSED = auto()
    """No server can be reached at all, nor could it before this request."""
    BROKEN = auto()
    """The connection breaks."""
    TIMEOUT = auto()
    BAD_REQUEST = auto()
    AUTHENTICATION = auto()
    PERMISSION = auto()
    NOT_FOUND = auto()
    RATE_LIMIT = auto()
    SERVER = auto()
