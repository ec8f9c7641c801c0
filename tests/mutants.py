"""Try mutants with mutmut, each with the tests of its own module: by scripts/mutate.

All tests that reach a line take minutes for one mutant, and hardly ever notice what
those of its module do not.
"""

import json
from pathlib import Path
import sys
import tomllib
from typing import Any

from mutmut import __main__ as mutmut
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.runners.harness import BadTestExecutionCommandsException, PytestRunner
from mutmut.state import state
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

PACKAGE = "custom_components.plex_account."
# What pytest and mutmut say where no test has failed: all have passed, somebody has
# stopped them, or there is none.
NO_TESTS = 33
UNNOTICED = {0, 2, 5, NO_TESTS}
# Seconds that a test takes at most with which all mutants are tried at first.
QUICK = 0.4
# Mutants that may live, with the reason.
ACCEPTED = Path(__file__).with_suffix(".toml")
# Where tests are that do not have the name of their module.
ELSEWHERE = {
    "": ("init", "options_flow", "hls", "issues", "store", "config_flow"),
    "access": (*("http", "hls", "services", "sources", "coordinator"), "media_source"),
    "api.exceptions": ("api/http", "api/refusals"),
    "api.http": (
        *("api/http", "api/transport", "api/streams", "api/server", "api/plex_tv"),
        *("http", "hls"),
    ),
    "api.items": ("api/items", "api/library", "media_source", "services"),
    "api.library": ("api/library", "media_source", "services"),
    "api.models": ("api/models", "api/plex_tv", "api/server", "store"),
    "api.plex_tv": ("api/plex_tv", "coordinator", "image", "config_flow"),
    "api.reading": ("api/reading", "api/models", "api/resources", "api/http"),
    "api.resources": ("api/resources", "api/models", "api/plex_tv", "store"),
    "api.server": (
        *("api/server", "api/streams", "api/connections"),
        *("coordinator", "http", "hls", "push"),
    ),
    "api.transport": ("api/transport", "api/http", "api/server", "http"),
    "base_coordinator": ("coordinator", "init"),
    "binary_sensor": ("entity", "init"),
    "callback": ("config_flow",),
    "connection": (
        *("coordinator", "store", "issues", "repairs", "identity"),
        *("entity", "init"),
    ),
    "coordinator": (
        *("coordinator", "init", "store", "options_flow"),
        *("diagnostics", "push", "issues", "repairs"),
    ),
    "devices": ("init", "coordinator"),
    "entity": ("entity", "coordinator"),
    "errors": ("services", "coordinator"),
    "hls": ("hls", "init"),
    "http": ("http", "hls", "media_source"),
    "identity": ("identity", "config_flow", "init"),
    "issues": ("issues", "push", "repairs", "coordinator"),
    "media": ("media_source", "services", "http"),
    "media_nodes": ("media_source",),
    "options_flow": ("options_flow", "init"),
    "pins": ("config_flow",),
    "playing": ("media_source", "hls"),
    "sensor": ("entity", "init", "options_flow"),
    "server_coordinator": (
        *("coordinator", "push", "init", "repairs", "button"),
        *("sources", "store", "issues"),
    ),
    "services": ("services", "sources", "coordinator"),
    "sources": ("sources", "services", "coordinator"),
    "store": ("store", "init", "coordinator"),
    "targets": ("services", "sources", "coordinator"),
    "texts": ("media_source", "config_flow"),
}


def narrow(*, quick: bool) -> None:
    """Leave each function the tests of its module, if some of them reach it."""
    reached = state().tests_by_mangled_function_name
    durations = state().duration_by_test
    for function, tests in reached.items():
        module = function.removeprefix(PACKAGE).rpartition(".")[0]
        names = ELSEWHERE.get(module, (module.replace(".", "/"),))
        files = tuple(
            f"tests/{folder}{slash}test_{name}.py::"
            for folder, slash, name in (each.rpartition("/") for each in names)
        )
        own = {test for test in tests if test.startswith(files)} or tests
        fast = {test for test in own if durations[test] < QUICK}
        reached[function] = (quick and fast) or own


def change_of(mutant: str) -> str:
    """Return what a mutant changes: its number means another one after an edit."""
    module = mutant.removeprefix(PACKAGE).rpartition(".")[0]
    function, class_name = orig_function_and_class_names_from_key(mutant)
    place = ".".join(filter(None, (module, class_name, function.rpartition(".")[2])))
    lines = get_diff_for_mutant(mutant).splitlines()[2:]
    return " ".join(
        [
            f"{place}:",
            *(f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-"),
        ]
    )


def accepted() -> set[str]:
    """Return the changes that may live."""
    return {
        change
        for changes in tomllib.loads(ACCEPTED.read_text()).values()
        for change in changes
    }


def forget(folder: Path) -> None:
    """Let be tried again what other tests may notice now, but for what may live."""
    may_live = accepted()
    for path in folder.rglob("*.meta"):
        meta = json.loads(path.read_text())
        codes = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {
            name: None
            if code in UNNOTICED and change_of(name) not in may_live
            else code
            for name, code in codes.items()
        }
        path.write_text(json.dumps(meta))


def judge(folder: Path, *, is_whole: bool) -> int:
    """Print what no test has noticed without a reason, and how much was."""
    codes = {
        name: code
        for path in folder.rglob("*.meta")
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
    }
    tried = {name: code for name, code in codes.items() if code is not None}
    left = [name for name, code in tried.items() if code in UNNOTICED]
    print(
        f"{len(tried)} of {len(codes)} mutants tried,"
        f" {100 * (1 - len(left) / max(1, len(tried))):.1f} % noticed"
    )
    may_live = accepted()
    changes = {name: change_of(name) for name in sorted(left)}
    unexpected = [
        f"{name}\n  {change}"
        for name, change in changes.items()
        if change not in may_live
    ]
    if is_whole and len(tried) < len(codes):
        unexpected.append("not all of them were tried")
    for each in unexpected:
        print(each)
    if is_whole:
        # Chance may notice some of them, so that is no failure.
        for change in sorted(may_live.difference(changes.values())):
            print(f"noticed, or gone: {change}")
    return bool(unexpected)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["judge", *names]:
            sys.exit(judge(Path("mutants"), is_whole=not names))
        case ["forget"]:
            forget(Path("mutants"))
        case [tests, *options]:
            collect = mutmut.collect_or_load_stats

            def collect_and_narrow(*args: Any, **options: Any) -> None:
                """Find out which tests reach what, and leave those of the module."""
                collect(*args, **options)
                narrow(quick=tests == "quick")

            execute = PytestRunner.execute_pytest

            def execute_what_is_there(
                self: PytestRunner, params: list[str], **options: Any
            ) -> int:
                """Run tests; that one is not found is no failure of a mutant's."""
                try:
                    return execute(self, params, **options)
                except BadTestExecutionCommandsException:
                    return NO_TESTS

            PytestRunner.execute_pytest = execute_what_is_there  # type: ignore[method-assign] # there is no setting for it
            mutmut.collect_or_load_stats = collect_and_narrow
            mutmut.cli(["run", *options])
