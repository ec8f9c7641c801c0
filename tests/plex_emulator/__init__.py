"""Plex, emulated: plex.tv and Plex Media Servers as real HTTP servers."""

from .accounts import Account, AccountToken
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
from .host import Host, Listener
from .media_server import MediaServer, Provider
from .pins import Pin
from .recording import Received, RequestLog
from .replies import Answer
from .resources import Connection, Listing, Player

__all__ = [
    "Account",
    "AccountToken",
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
    "Listener",
    "Listing",
    "LoopbackResolver",
    "MediaServer",
    "Pin",
    "Player",
    "PlexEmulator",
    "Provider",
    "Raw",
    "Received",
    "Reply",
    "RequestLog",
    "Rule",
    "Vanish",
    "build_demo_world",
    "error",
    "gzip_bomb",
    "redirect",
]
