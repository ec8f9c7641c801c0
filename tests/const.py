"""Constants of the tests."""

from datetime import timedelta

PASSWORD = "password-ada-countess"
VERIFICATION_CODE = "314159"
CLIENT_IDENTIFIER = "1f0c1c2e-8f5f-4b3e-9d0c-5f1b4a1f7a10"
# Where a server's names are, and where they are with its next certificate.
PLEX_DIRECT = "0123456789abcdef0123456789abcdef.plex.direct"
NEW_PLEX_DIRECT = "fedcba9876543210fedcba9876543210.plex.direct"
# What the companion app of a phone tells Home Assistant about itself.
PHONE = {
    "app_id": "example.app",
    "app_name": "Companion",
    "app_version": "1",
    "device_id": "nokia",
    "device_name": "Nokia",
    "manufacturer": "Nokia",
    "model": "3310",
    "os_name": "none",
    "os_version": "1",
    "supports_encryption": False,
}
# After them an account, or a server, has been asked once more.
ACCOUNT_POLL = timedelta(minutes=30, seconds=1)
SERVER_POLL = timedelta(minutes=5, seconds=1)
