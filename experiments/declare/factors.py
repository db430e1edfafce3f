"""
Factors: what can differ between two deployments, their levels, and what realises each level.
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
    One thing that can differ.

    ``levels`` are its values, the plainest first; a factor with a ``pattern`` takes any value that
    it matches too. ``default`` is the level for each runtime where a variant names none; a factor
    without one must be named. ``overlays`` are the Compose override files, in services/, that
    realise levels; ``variable`` is the variable of theirs that the level is put into.
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
        Whether this is one of the factor's levels.
        """
        matches = bool(self.pattern) and re.fullmatch(self.pattern, level) is not None
        return level in self.levels or matches

    def choices(self) -> str:
        """
        The levels, for the reader of an error.
        """
        listed = ", ".join(self.levels)
        return f"{listed}, or what matches {self.pattern}" if self.pattern else listed

    def overlay(self, level: str) -> str | None:
        """
        The override file that realises the level; None when the base file does.
        """
        if level in self.levels:
            return self.overlays.get(level)
        return self.pattern_overlay or None


def both(level: str) -> dict[str, str]:
    """
    One default for both runtimes.
    """
    return {"process": level, "container": level}


FACTORS: dict[str, Factor] = {
    "runtime": Factor(
        "who starts the services: the lab itself, or Docker", ("process", "container")
    ),
    "network": Factor(
        "host: the host's own namespace, over loopback; veth: a namespace each, every two joined "
        "by a pair; bridge: joined by one bridge; tiers: three bridges, routed between",
        ("host", "veth", "bridge", "tiers"),
        overlays={"host": "host-network.yaml", "tiers": "tiers.yaml"},
    ),
    "entry": Factor(
        "direct: to the gateway's own address; external: from a namespace of the client's own to "
        "the host's port, by DNAT; published: from the host itself to the port at 127.0.0.1",
        ("direct", "external", "published"),
        overlays={"external": "external.yaml", "published": "published.yaml"},
    ),
    "discovery": Factor(
        "how services find each other: fixed addresses, or names that Docker's DNS resolves",
        ("addresses", "names"),
        overlays={"names": "names.yaml"},
    ),
    "confinement": Factor(
        "the primitives of a container, each level with all before it: a control group of its own; "
        "PID, mount, UTS and IPC namespaces; an overlay as its root; Docker's few capabilities; "
        "Docker's seccomp filter",
        ("none", "cgroups", "namespaces", "overlay", "capabilities", "seccomp"),
        default={"process": "none", "container": "seccomp"},
    ),
    "stdio": Factor(
        "where stdout and stderr go: nowhere, a file, a pipe to a reader that writes a file, or "
        "Docker's shim with a log driver",
        ("null", "file", "pipe", "docker-none", "docker-local", "docker-json-file"),
        default={"process": "file", "container": "docker-json-file"},
        overlays={
            "null": "stdio-null.yaml",
            "docker-none": "log-none.yaml",
            "docker-local": "log-local.yaml",
        },
    ),
    "request_log": Factor(
        "whether services print a line for every request",
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
        "gunicorn's workers in each service",
        ("1",),
        pattern=r"[1-9][0-9]?",
        default=both("1"),
        variable="GUNICORN_WORKERS",
    ),
    "worker_class": Factor(
        "gunicorn's workers: threads, or one request at a time",
        ("gthread", "sync"),
        default=both("gthread"),
        variable="GUNICORN_CLASS",
    ),
    "cpus": Factor(
        "how many CPUs' time each service may take",
        (UNLIMITED,),
        pattern=r"[0-9]+(\.[0-9]+)?",
        default=both(UNLIMITED),
        variable="CPUS",
        pattern_overlay="limit-cpus.yaml",
    ),
    "memory": Factor(
        "how much memory each service may take",
        (UNLIMITED,),
        pattern=r"[0-9]+[mg]",
        default=both(UNLIMITED),
        variable="MEMORY",
        pattern_overlay="limit-memory.yaml",
    ),
    "userland_proxy": Factor(
        "whether dockerd serves published ports by docker-proxy too, as it does by default",
        ("on", "off"),
        default=both("on"),
    ),
    "beside": Factor(
        "what else is on the host: nothing, or a dockerd that has nothing to do",
        ("nothing", "dockerd"),
        default=both("nothing"),
    ),
    "burn_us": Factor(
        "CPU time in microseconds that the gateway burns for every request, to test the instrument",
        (NOT_INJECTED,),
        pattern=r"[0-9]+",
        default=both(NOT_INJECTED),
        variable="BURN_US",
        pattern_overlay="burn.yaml",
    ),
    "sleep_us": Factor(
        "microseconds for which the gateway sleeps in every request, to test the instrument",
        (NOT_INJECTED,),
        pattern=r"[0-9]+",
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
        "Docker keeps its bridges apart, so tiers would not reach each other; use 'bridge'",
    ),
    (
        {"runtime": ("container",), "network": ("veth",)},
        "Docker joins containers by a bridge; use 'bridge' or 'host'",
    ),
    (
        {"network": ("host",), "entry": ("external", "published")},
        "a service on the host's network has the port itself and publishes none; use 'direct'",
    ),
    (
        {"network": ("host",), "discovery": ("names",)},
        "Docker's DNS serves its own networks only; use discovery = 'addresses'",
    ),
    (
        {
            "runtime": ("container",),
            "confinement": ("none", "cgroups", "namespaces", "overlay", "capabilities"),
        },
        "Docker confines by all of the primitives; use 'seccomp'",
    ),
    (
        {"runtime": ("container",), "stdio": ("file", "pipe")},
        "Docker's shim takes what a container prints; use 'null' or one of the docker- levels",
    ),
    (
        {"runtime": ("process",), "stdio": ("docker-none", "docker-local", "docker-json-file")},
        "without Docker there is no log driver; use 'null', 'file' or 'pipe'",
    ),
    (
        {"runtime": ("process",), "userland_proxy": ("off",)},
        "raw namespaces have no docker-proxy to switch off; leave it out",
    ),
    (
        {"entry": ("direct",), "userland_proxy": ("off",)},
        "nothing is published, so there is no docker-proxy to switch off; leave it out",
    ),
    (
        {"runtime": ("container",), "beside": ("dockerd",)},
        "a container has its dockerd anyway; use beside = 'nothing'",
    ),
    (
        {"server": ("werkzeug",), "worker_class": ("sync",)},
        "Flask's development server has no worker classes; use server = 'gunicorn'",
    ),
)
"""Combinations that no deployment can realise, with the reason."""


def impossible(levels: Mapping[str, str]) -> str:
    """
    Why no deployment can have these levels, with the factors; empty when one can.
    """
    for combination, reason in IMPOSSIBLE:
        if all(levels[factor] in wrong for factor, wrong in combination.items()):
            named = " with ".join(f"{factor} = {levels[factor]!r}" for factor in combination)
            return f"{named} cannot be: {reason}"
    if levels["server"] == "werkzeug" and levels["workers"] != "1":
        return (
            f"workers = {levels['workers']!r} with server = 'werkzeug' cannot be: Flask's "
            "development server is one process; use server = 'gunicorn'"
        )
    return ""


def different(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """
    The factors in whose levels two variants differ.
    """
    return [name for name in FACTORS if one.get(name) != other.get(name)]
