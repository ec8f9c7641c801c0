"""How to start the peers."""

from dataclasses import asdict
import json
from pathlib import Path
import shutil

from benchmarks.measuring import Target
from benchmarks.process import ROOT, Child

PYTHON = ROOT / ".venv/bench-python/bin/python"
NODE_FOLDER = ROOT / ".venv/bench-node"
SCRIPT = Path(__file__).with_name("with_plexjs.mjs")
NO_NODE = "no Node here, or its packages could not be installed"


def has_node() -> bool:
    """Return if there is a Node with what it needs."""
    return shutil.which("node") is not None and (NODE_FOLDER / ".made-from").is_file()


def plexapi(target: Target) -> Child:
    """Return a process with python-plexapi."""
    return _python("with_plexapi", target)


def plex_api_client(target: Target) -> Child:
    """Return a process with plex-api-client."""
    return _python("with_plex_api_client", target)


def plexjs(target: Target, version: str) -> Child:
    """Return a process with a version of plexjs."""
    return Child(["node", SCRIPT, NODE_FOLDER, version, json.dumps(asdict(target))])


def _python(name: str, target: Target) -> Child:
    """Return a process in the Python environment of the peers."""
    return Child.module(f"peers.{name}", json.dumps(asdict(target)), python=PYTHON)
