"""
Starting a command somewhere else in the lab: in a control group and a network namespace.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.lab.cgroups import ControlGroup


def launch_command(
    group: ControlGroup, network_namespace: str, command: Sequence[str]
) -> list[str]:
    """
    The command line that joins the group, enters the namespace (a path) and becomes ``command``.

    Each step replaces the one before, so the process started is the command itself.
    """
    enter = shlex.join(["nsenter", f"--net={network_namespace}", "--"])
    script = f'{group.join_command()}\nexec {enter} "$@"'
    return ["sh", "-euc", script, "launch", *command]
