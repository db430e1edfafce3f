"""
Starting a command in a control group and a network namespace of the lab.
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
    network_namespace_path: str,
    command: Sequence[str],
    root: Path | None = None,
    working_directory: str = "/",
) -> list[str]:
    """
    The command line that joins the group, enters the namespace and executes ``command``.

    With ``root`` the command gets that root directory, which contains ``working_directory``. Every
    step replaces the previous one, so the started process is the command itself.
    """
    nsenter = ["nsenter", f"--net={network_namespace_path}"]
    if root is not None:
        nsenter += [f"--root={root}", f"--wdns={working_directory}"]
    enter = shlex.join([*nsenter, "--"])
    # A shell exports PWD, which a container does not have.
    script = f'{group.join_command()}\nunset PWD\nexec {enter} "$@"'
    return ["sh", "-euc", script, "launch", *command]
