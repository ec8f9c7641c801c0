"""Constants of the tests."""

PASSWORD = "password-ada-countess"
VERIFICATION_CODE = "314159"
CLIENT_IDENTIFIER = "1f0c1c2e-8f5f-4b3e-9d0c-5f1b4a1f7a10"
# Where a server's names are, and where they are with its next certificate.
PLEX_DIRECT = "0123456789abcdef0123456789abcdef.plex.direct"
NEW_PLEX_DIRECT = "fedcba9876543210fedcba9876543210.plex.direct"
