"""Constants of the tests."""

PASSWORD = "password-ada-countess"
VERIFICATION_CODE = "314159"
CLIENT_IDENTIFIER = "1f0c1c2e-8f5f-4b3e-9d0c-5f1b4a1f7a10"
