"""The errors of plex.tv, by Plex's own codes."""

from dataclasses import dataclass

from .replies import Data


@dataclass(frozen=True, slots=True)
class Problem:
    """A status with, on plex.tv, a code and a message."""

    status: int
    code: int
    message: str

    @property
    def data(self) -> Data:
        """The error as plex.tv writes it; one of them was seen without its status."""
        data: Data = {"code": self.code, "message": self.message}
        return data if self.code == PIN_EXPIRED.code else data | {"status": self.status}


class RefusedError(Exception):
    """A host refuses what was asked."""

    def __init__(self, problem: Problem) -> None:
        """Refuse because of a problem."""
        super().__init__(problem.message)
        self.problem = problem


NO_CLIENT_IDENTIFIER = Problem(400, 1000, "X-Plex-Client-Identifier is missing")
NOT_AUTHENTICATED = Problem(401, 1001, "User could not be authenticated")
RATE_LIMITED = Problem(429, 1003, "API rate limit exceeded")
NO_CREDENTIALS = Problem(400, 1004, "Missing login or password")
PIN_EXPIRED = Problem(404, 1020, "Code not found or expired")
WRONG_CODE = Problem(401, 1028, "Invalid verification code")
CODE_NEEDED = Problem(401, 1029, "Please enter the verification code")
THROTTLED = Problem(
    401,
    1031,
    "User could not be authenticated. This IP appears to be having trouble signing in"
    " to an account (detected repeated failures)",
)
NOT_FOUND = Problem(404, 404, "Not Found")
BAD_REQUEST = Problem(400, 400, "Bad Request")
UNAUTHORIZED = Problem(401, 401, "Unauthorized")
FORBIDDEN = Problem(403, 403, "Forbidden")
