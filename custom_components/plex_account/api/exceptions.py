"""What can go wrong between us and Plex."""


class PlexError(Exception):
    """Plex, or the way to it, failed.

    `status` is the HTTP status and `code` Plex's own error code, where Plex answered
    with one. `retry_after` is the number of seconds that Plex asked us to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Keep what is known of the failure; the message never holds a secret."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class PlexConnectionError(PlexError):
    """Plex could not be reached, or the connection broke."""


class PlexTimeoutError(PlexConnectionError):
    """Plex did not answer in time."""


class PlexNameError(PlexConnectionError):
    """The name of the host does not resolve."""


class PlexCertificateError(PlexConnectionError):
    """There is no secure connection, as without a valid certificate for the name."""


class PlexWrongServerError(PlexConnectionError):
    """Another server answers at the address."""


class PlexAuthenticationError(PlexError):
    """Plex does not accept the token, or the user name and password."""


class PlexTwoFactorRequiredError(PlexAuthenticationError):
    """The password is right, but a verification code is needed (code 1029)."""


class PlexInvalidTwoFactorCodeError(PlexAuthenticationError):
    """The verification code is wrong or has expired (code 1028)."""


class PlexThrottledError(PlexAuthenticationError):
    """Plex refuses sign-ins from this IP address for a while (code 1031).

    It says nothing about the password, which may be right.
    """


class PlexPermissionError(PlexError):
    """What was asked is not allowed to the token (403).

    Where a server makes a token it may also mean that the other is not good.
    """


class PlexNotFoundError(PlexError):
    """Plex does not know what was asked for (404)."""


class PlexRateLimitError(PlexError):
    """Plex was asked too often (429)."""


class PlexServerError(PlexError):
    """Plex failed at its own end (5xx)."""


class PlexResponseError(PlexError):
    """The answer is nothing that Plex sends."""
