"""
Starting a command in a control group and a network namespace of the lab.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.lab.cgroups import ControlGroup


def launch_command(
    group: ControlGroup,
    network_namespace_path: str,
    command: Sequence[str],
    namespaces: Mapping[str, str] | None = None,
    working_directory: str = "",
) -> list[str]:
    """
    The command line that joins the group, enters the namespaces and executes ``command``.

    ``namespaces`` maps further ones, as nsenter names them, to their paths. Every step replaces the
    previous one, so the started process is the command itself.
    """
    nsenter = ["nsenter", f"--net={network_namespace_path}"]
    nsenter += [f"--{kind}={path}" for kind, path in (namespaces or {}).items()]
    if working_directory:
        nsenter.append(f"--wdns={working_directory}")
    script = f'{group.join_command()}\nexec {shlex.join([*nsenter, "--"])} "$@"'
    return ["sh", "-euc", script, "launch", *command]
