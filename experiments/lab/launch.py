"""
Starting a command somewhere else in the lab: in a control group and a network namespace.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.lab.cgroups import ControlGroup


def launch_command(
    group: ControlGroup,
    network_namespace: str,
    command: Sequence[str],
    root: Path | None = None,
    working_directory: str = "/",
) -> list[str]:
    """
    The command line that joins the group, enters the namespace (a path) and becomes ``command``.

    With ``root`` it takes that directory as its root, and ``working_directory`` is inside of it.
    Each step replaces the one before, so the process started is the command itself.
    """
    nsenter = ["nsenter", f"--net={network_namespace}"]
    if root is not None:
        nsenter += [f"--root={root}", f"--wdns={working_directory}"]
    enter = shlex.join([*nsenter, "--"])
    # A shell exports where it is, which would be a difference to a container.
    script = f'{group.join_command()}\nunset PWD\nexec {enter} "$@"'
    return ["sh", "-euc", script, "launch", *command]
