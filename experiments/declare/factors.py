"""
Factors: the properties in which deployments can differ, their levels, and their Compose files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UNLIMITED = "unlimited"
NOT_INJECTED = "none"


@dataclass(frozen=True)
class Factor:
    """
    One property in which deployments can differ.

    ``levels`` are its values, the plainest first; a ``pattern`` also allows every value that it
    matches. ``default`` maps runtimes to the level of a variant that names none; a factor without a
    default must be named. ``overlays`` maps levels to Compose override files in services/;
    ``pattern_overlay`` is the file for values of the pattern. The level is the value of the
    Compose variable ``variable``.
    """

    about: str
    levels: tuple[str, ...] = ()
    pattern: str = ""
    default: Mapping[str, str] = field(default_factory=dict)
    overlays: Mapping[str, str] = field(default_factory=dict)
    variable: str = ""
    pattern_overlay: str = ""

    def allows(self, level: str) -> bool:
        """
        Whether the factor has this level.
        """
        matches = bool(self.pattern) and re.fullmatch(self.pattern, level) is not None
        return level in self.levels or matches

    def choices(self) -> str:
        """
        The allowed levels, in the words of an error message.
        """
        listed = ", ".join(self.levels)
        return f"{listed}, or a value that matches {self.pattern}" if self.pattern else listed

    def overlay(self, level: str) -> str | None:
        """
        The override file for a level; None if the base file is enough.
        """
        if level in self.levels:
            return self.overlays.get(level)
        return self.pattern_overlay or None


def both(level: str) -> dict[str, str]:
    """
    The same default for both runtimes.
    """
    return {"process": level, "container": level}


FACTORS: dict[str, Factor] = {
    "runtime": Factor(
        "what starts the services: the lab itself, or Docker", ("process", "container")
    ),
    "network": Factor(
        "host: all services in the host's namespace, over loopback; veth: one namespace per "
        "service, a veth pair between any two; bridge: one bridge; tiers: three routed bridges",
        ("host", "veth", "bridge", "tiers"),
        overlays={"host": "host-network.yaml", "tiers": "tiers.yaml"},
    ),
    "entry": Factor(
        "direct: to the gateway's address; external: from a namespace of the client to the host's "
        "port, by DNAT; published: from the host to the published port at 127.0.0.1",
        ("direct", "external", "published"),
        overlays={"external": "external.yaml", "published": "published.yaml"},
    ),
    "discovery": Factor(
        "how services find each other: by fixed addresses, or by names from Docker's DNS",
        ("addresses", "names"),
        overlays={"names": "names.yaml"},
    ),
    "confinement": Factor(
        "the primitives of a container, cumulative: a control group; PID, mount, UTS and IPC "
        "namespaces; an overlay root; Docker's default capabilities; Docker's seccomp filter",
        ("none", "cgroups", "namespaces", "overlay", "capabilities", "seccomp"),
        default={"process": "none", "container": "seccomp"},
    ),
    "stdio": Factor(
        "destination of stdout and stderr: /dev/null, a file, a pipe to a process that writes a "
        "file, or Docker's shim with a log driver",
        ("null", "file", "pipe", "docker-none", "docker-local", "docker-json-file"),
        default={"process": "file", "container": "docker-json-file"},
        overlays={
            "null": "stdio-null.yaml",
            "docker-none": "log-none.yaml",
            "docker-local": "log-local.yaml",
        },
    ),
    "request_log": Factor(
        "whether services log every request",
        ("on", "off"),
        default=both("on"),
        overlays={"off": "quiet.yaml"},
    ),
    "server": Factor(
        "Flask's development server, or gunicorn",
        ("werkzeug", "gunicorn"),
        default=both("werkzeug"),
        overlays={"gunicorn": "gunicorn.yaml"},
    ),
    "workers": Factor(
        "number of gunicorn workers per service",
        ("1",),
        pattern=r"[1-9][0-9]?",
        default=both("1"),
        variable="GUNICORN_WORKERS",
    ),
    "worker_class": Factor(
        "class of gunicorn workers: threads, or one request at a time",
        ("gthread", "sync"),
        default=both("gthread"),
        variable="GUNICORN_CLASS",
    ),
    "cpus": Factor(
        "CPU limit of each service, in CPUs",
        (UNLIMITED,),
        pattern=r"[0-9]{1,4}(\.[0-9]{1,6})?",
        default=both(UNLIMITED),
        variable="CPUS",
        pattern_overlay="limit-cpus.yaml",
    ),
    "memory": Factor(
        "memory limit of each service",
        (UNLIMITED,),
        pattern=r"[0-9]{1,6}[mg]",
        default=both(UNLIMITED),
        variable="MEMORY",
        pattern_overlay="limit-memory.yaml",
    ),
    "limits": Factor(
        "the limits in the Compose files: as they are, or none",
        ("as given", "none"),
        default=both("as given"),
    ),
    "userland_proxy": Factor(
        "whether dockerd also starts docker-proxy for published ports, as it does by default",
        ("on", "off"),
        default=both("on"),
    ),
    "beside": Factor(
        "what else runs on the host: nothing, or an idle dockerd",
        ("nothing", "dockerd"),
        default=both("nothing"),
    ),
    "calls": Factor(
        "calls of another service for each request, one after the other, with the same answer",
        ("1", "2", "4", "8"),
        default=both("1"),
        overlays=dict.fromkeys(("2", "4", "8"), "calls.yaml"),
        variable="CALLS",
    ),
    "burn_us": Factor(
        "CPU time in microseconds that the gateway burns per request, to test the instrument or "
        "for a heavier service",
        (NOT_INJECTED,),
        pattern=r"[0-9]{1,9}",
        default=both(NOT_INJECTED),
        variable="BURN_US",
        pattern_overlay="burn.yaml",
    ),
    "sleep_us": Factor(
        "microseconds that the gateway sleeps per request, to test the instrument",
        (NOT_INJECTED,),
        pattern=r"[0-9]{1,9}",
        default=both(NOT_INJECTED),
        variable="SLEEP_US",
        pattern_overlay="sleep.yaml",
    ),
}
"""Every factor, in the order in which their override files are applied."""

IMPOSSIBLE: tuple[tuple[dict[str, tuple[str, ...]], str], ...] = (
    (
        {"runtime": ("process",), "entry": ("external", "published")},
        "raw namespaces publish no ports; use entry = 'direct'",
    ),
    (
        {"runtime": ("process",), "discovery": ("names",)},
        "raw namespaces have no name server; use discovery = 'addresses'",
    ),
    (
        {"runtime": ("container",), "network": ("tiers",)},
        "Docker isolates its bridges, so the tiers could not connect; use 'bridge'",
    ),
    (
        {"runtime": ("container",), "network": ("veth",)},
        "Docker connects containers by a bridge; use 'bridge' or 'host'",
    ),
    (
        {"network": ("host",), "entry": ("external", "published")},
        "a service on the host network listens on the port itself and publishes none; use 'direct'",
    ),
    (
        {"network": ("host",), "discovery": ("names",)},
        "Docker's DNS serves user-defined networks only; use discovery = 'addresses'",
    ),
    (
        {
            "runtime": ("container",),
            "confinement": ("none", "cgroups", "namespaces", "overlay", "capabilities"),
        },
        "Docker always uses all primitives; use 'seccomp'",
    ),
    (
        {"runtime": ("container",), "stdio": ("file", "pipe")},
        "Docker's shim reads the output of a container; use 'null' or one of the docker- levels",
    ),
    (
        {"runtime": ("process",), "stdio": ("docker-none", "docker-local", "docker-json-file")},
        "without Docker there is no log driver; use 'null', 'file' or 'pipe'",
    ),
    (
        {"runtime": ("process",), "userland_proxy": ("off",)},
        "raw namespaces have no docker-proxy; leave userland_proxy out",
    ),
    (
        {"entry": ("direct",), "userland_proxy": ("off",)},
        "no port is published, so there is no docker-proxy; leave userland_proxy out",
    ),
    (
        {"runtime": ("container",), "beside": ("dockerd",)},
        "a container always has a dockerd; use beside = 'nothing'",
    ),
    (
        {"calls": ("2", "4", "8"), "network": ("host", "veth", "tiers")},
        "packets on the ports of one bridge prove the number of calls; use 'bridge'",
    ),
    (
        {"server": ("werkzeug",), "worker_class": ("sync",)},
        "Flask's development server has no worker classes; use server = 'gunicorn'",
    ),
)
"""Impossible combinations of levels, and the reason."""


def impossible(levels: Mapping[str, str]) -> str:
    """
    The reason why a combination of levels is impossible; empty if it is possible.
    """
    for combination, reason in IMPOSSIBLE:
        if all(levels[factor] in wrong for factor, wrong in combination.items()):
            named = " with ".join(f"{factor} = {levels[factor]!r}" for factor in combination)
            return f"{named} is impossible: {reason}"
    if levels["server"] == "werkzeug" and levels["workers"] != "1":
        return (
            f"workers = {levels['workers']!r} with server = 'werkzeug' is impossible: Flask's "
            "development server is one process; use server = 'gunicorn'"
        )
    return ""


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """
    The names of the factors with different levels.
    """
    return [name for name in FACTORS if one.get(name) != other.get(name)]
