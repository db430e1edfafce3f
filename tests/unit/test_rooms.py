"""
The rooms of experiments/: imports between them run one way.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from experiments.paths import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = {"commands", "errors", "hardware", "interrupts", "output", "paths", "processes"}
ROOMS = {
    "declare": {"commands", "errors", "paths"},
    "records": {"declare", *BASE},
    "plan": {"declare", "records", *BASE},
    "lab": BASE,
    "deployments": {"declare", "records", "lab", *BASE},
    "load": {"declare", "records", "lab", *BASE},
    "probes": {"declare", "records", "lab", "deployments", *BASE},
    "run": {"declare", "records", "plan", "lab", "deployments", "load", "probes", *BASE},
    "machines": {"declare", "records", "lab", "probes", *BASE},
    "host": {"declare", "records", "plan", "lab", "machines", *BASE},
}
"""The rooms, and what each may import besides itself."""


def imported(file: Path) -> Iterator[str]:
    """
    The rooms, or top modules, of experiments that a file imports from.
    """
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, rest = node.module.partition(".")
            if package == "experiments":
                yield from [rest.partition(".")[0]] if rest else (each.name for each in node.names)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_the_rooms_below_it(room: str) -> None:
    """
    Types count too: a room that knows another one's types knows that room.
    """
    files = sorted((PROJECT / "experiments" / room).rglob("*.py"))
    assert files
    found = {(file.name, name) for file in files for name in imported(file)}
    assert {each for each in found if each[1] not in {room, *ROOMS[room]}} == set()


def test_every_folder_is_a_room() -> None:
    """
    So that a new one is given its place.
    """
    folders = {path.parent.name for path in (PROJECT / "experiments").glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_what_nox_imports_needs_the_standard_library_only() -> None:
    """
    Nox reads the noxfile with its own interpreter, which has none of the project's dependencies.
    """
    modules = "errors, plan.options, records.files, declare.reading, machines.lock, processes"
    code = f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\nimport analysis.statuses\n"
    code += "".join(f"import experiments.{name}\n" for name in modules.split(", "))
    # Without site-packages, an import of anything else fails.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False)
    assert done.returncode == 0
