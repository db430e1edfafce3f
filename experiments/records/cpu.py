"""
The names by which records divide CPU time.
"""

from __future__ import annotations

from functools import cache

CLIENT = "client"
RUNNER = "runner"
"""Parts of every trial; all other parts are the stack and Docker."""

DAEMON = "dockerd, containerd, shims"
PROXY = "docker-proxy"
LOG_READER = "log reader"
"""Helper processes beside the services; there is a log reader of each service."""

STAT_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""The first columns of /proc/stat; see proc_stat(5)."""

BUSY = ("user", "nice", "system", "irq", "softirq")
"""Fields of /proc/stat that are neither idle time nor steal."""


def log_reader(service: str) -> str:
    """
    The name of a service's log reader.
    """
    return f"{LOG_READER} of {service}"


@cache
def part_of(name: str) -> str:
    """
    The part to which a name in the records belongs: all log readers are one.
    """
    return name.partition(" of ")[0]
