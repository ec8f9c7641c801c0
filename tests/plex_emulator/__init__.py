"""Plex, emulated: plex.tv and Plex Media Servers as real HTTP servers."""

from .accounts import Account
from .certificates import CertificateAuthority, LoopbackResolver
from .demo import DemoWorld, build_demo_world
from .emulator import PlexEmulator
from .faults import (
    Cut,
    Delay,
    Drip,
    Ending,
    Endless,
    Fault,
    Flood,
    Interim,
    Raw,
    Reply,
    Rule,
    Vanish,
    error,
    gzip_bomb,
    redirect,
)
from .host import Host
from .media_server import MediaServer, Provider
from .replies import Answer
from .resources import Connection

__all__ = [
    "Account",
    "Answer",
    "CertificateAuthority",
    "Connection",
    "Cut",
    "Delay",
    "DemoWorld",
    "Drip",
    "Ending",
    "Endless",
    "Fault",
    "Flood",
    "Host",
    "Interim",
    "LoopbackResolver",
    "MediaServer",
    "PlexEmulator",
    "Provider",
    "Raw",
    "Reply",
    "Rule",
    "Vanish",
    "build_demo_world",
    "error",
    "gzip_bomb",
    "redirect",
]
