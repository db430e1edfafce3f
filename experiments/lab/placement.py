"""
The CPUs of the client and of the stack: separate ones, if there are two or more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import DeployError
from experiments.lab.cgroups import parse_cpu_list

if TYPE_CHECKING:
    from experiments.lab.cgroups import ControlGroup


@dataclass(frozen=True)
class Placement:
    """
    The CPU numbers of the client and of the stack with Docker's daemons.
    """

    client: frozenset[int]
    stack: frozenset[int]

    @property
    def apart(self) -> bool:
        """
        Whether client and stack share no CPU.
        """
        return not self.client & self.stack


def choose_placement(cpus: set[int]) -> Placement:
    """
    The lowest CPU for the client, which is single-threaded, and the others for the stack.

    A single CPU is shared.
    """
    first, *rest = sorted(cpus)
    return Placement(frozenset({first}), frozenset(rest or {first}))


def prove_placement(group: ControlGroup, cpus: frozenset[int]) -> int:
    """
    Check the CPUs of every process in the group and below; return the number of processes.

    Raises DeployError if a process may run outside ``cpus``, or if there is no process.
    """
    checked = 0
    directory = group.directory("cpuset") or group.directories()[0]
    for file in sorted(directory.glob("**/cgroup.procs")):
        for pid in file.read_text().split():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            allowed = parse_cpu_list(fields["Cpus_allowed_list"])
            if not allowed <= cpus:
                msg = (
                    f"process {pid} ({fields['Name']}) may run on CPUs {sorted(allowed)}, but the "
                    f"stack must stay on {sorted(cpus)}; a service must not choose its own CPUs"
                )
                raise DeployError(msg)
            checked += 1
    if not checked:
        msg = f"no process is in {directory}, the control group of the stack"
        raise DeployError(msg)
    return checked
