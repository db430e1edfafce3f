"""
Residue: things that a trial leaves behind in the lab.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.lab.cgroups import Hierarchy

TIMEOUT_S = 10
SETTLE_S = 5.0
"""The time that the kernel may take to remove things."""

POLL_S = 0.05

NETWORK = {
    "links": "ip -oneline link",
    "addresses": "ip -oneline address",
    "routes": "ip route show table all",
    "rules": "ip rule",
    "firewall rules": "iptables --list-rules; iptables --table nat --list-rules",
    "sysctls": "grep -rs '' /proc/sys/net /proc/sys/kernel /proc/sys/vm || true",
}
"""Commands that print the state of the lab's network namespace, line by line."""

CHANGING = (
    "dirty", "inode", "file-nr", "dentry", "/random/", "ns_last_pid", "nf_conntrack_count",
    "binfmt", "tcp_mem", "udp_mem", "aio-nr", "perf_event", "/pty/nr", "quota", "/keys/",
    "sched_domain", "max_newidle", "nf_conntrack_expect",
)  # fmt: skip
"""Parts of the names of sysctls that are counters or change by themselves."""


def snapshot(found: Sequence[Hierarchy]) -> dict[str, frozenset[str]]:
    """
    Everything in the lab that a trial could leave behind: lines by kind.
    """
    state = {name: _lines(command) for name, command in NETWORK.items()}
    state["sysctls"] = frozenset(
        line for line in state["sysctls"] if not any(word in line for word in CHANGING)
    )
    names = Path("/run/netns")
    state["network namespaces"] = frozenset(
        path.name for path in (names.iterdir() if names.exists() else ())
    )
    state["mounts"] = frozenset(
        # Without the numbers, which change.
        " ".join(line.split()[3:5])
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )
    state["processes"] = frozenset(_processes())
    state["control groups"] = frozenset(
        folder for hierarchy in found for folder, _, _ in os.walk(hierarchy.base)
    )
    return state


def check_residue(before: dict[str, frozenset[str]], found: Sequence[Hierarchy]) -> None:
    """
    Compare the lab with an earlier snapshot, repeatedly for some seconds until they are equal.

    Raises ProofError with what is left or gone.
    """
    deadline = time.monotonic() + SETTLE_S
    while True:
        after = snapshot(found)
        left = [
            f"{what}: {word} {line}"
            for what, lines in before.items()
            for word, some in (("left", after[what] - lines), ("gone", lines - after[what]))
            for line in sorted(some)
        ]
        if not left:
            return
        if time.monotonic() > deadline:
            shown = "; ".join(left[:5]) + (f"; and {len(left) - 5} more" if left[5:] else "")
            msg = f"the trials did not leave the lab as it was: {shown}"
            raise ProofError(msg)
        time.sleep(POLL_S)


def _processes() -> list[str]:
    """
    Every process with its command, without children of this one, which are the commands above.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        if command.strip() and int(parent) != os.getpid():
            found.append(f"{folder.name} {command.strip()[:120]}")
    return found


def _lines(command: str) -> frozenset[str]:
    ended = run_command(["sh", "-c", command], limit_s=TIMEOUT_S)
    return frozenset(line.rstrip() for line in ended.text.splitlines())
