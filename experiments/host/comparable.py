"""
Whether a run can be continued here: the machine, the code and the userland then and now.

A session on another machine, kernel, code or userland would measure something else, so it is
refused. What changes the speed of all variants alike is a warning: every comparison is made within
a block, and no block is in two sessions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.paths import PROJECT
from experiments.records.manifest import Environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from experiments.records.manifest import MachineRecord, Manifest, Source, UserlandRecord

MACHINE = ("name", "provider", "hypervisor", "acceleration", "box", "host")
ENVIRONMENT = (
    "kernel",
    "kernel_build",
    "architecture",
    "cpu_model",
    "cpus",
    "cpus_online",
    "cgroup_layout",
)
HARMLESS = ("swap_bytes", "clock_source", "cpu_governor")

MEMORY_SLACK = 0.02
"""Relative difference of the memory between two starts of one machine: the kernel's own share."""

CODE = ("experiments", "services")
"""The folders whose files run during a measurement."""

NOT_CODE = ("variants.toml", "workloads.toml")
"""Declarations: a run has its own in its manifest."""

MOST_NAMED = 5
"""Packages that differ, in a message."""


@dataclass(frozen=True)
class Difference:
    """
    One property that differs between the run so far and now.
    """

    field: str
    then: object
    now: object
    harmless: bool = False

    def __str__(self) -> str:
        """
        The field with both values.
        """
        return f"{self.field} was {_words(self.then)} and is {_words(self.now)}"


@dataclass(frozen=True)
class Circumstances:
    """
    Where a session would take place.
    """

    machine: MachineRecord
    environment: Environment
    userland: UserlandRecord
    code_sha256: str
    git: Source | None


def differences(then: Manifest, now: Circumstances) -> Iterator[Difference]:
    """
    Every property that differs from what the manifest of a run has.

    A run that ended before its environment was recorded has measured nothing in it.
    """
    for name in MACHINE:
        yield from _differ(f"machine.{name}", then.machine, now.machine, name)
    if then.environment != Environment():
        for name in ENVIRONMENT:
            yield from _differ(f"environment.{name}", then.environment, now.environment, name)
        before, after = then.environment.memory_bytes, now.environment.memory_bytes
        if abs((before or 0) - (after or 0)) > MEMORY_SLACK * (before or 0):
            yield Difference("environment.memory_bytes", before, after)
        for name in HARMLESS:
            for each in _differ(f"environment.{name}", then.environment, now.environment, name):
                yield Difference(each.field, each.then, each.now, harmless=True)
    if then.code_sha256 != now.code_sha256:
        yield Difference(
            "code",
            f"{then.code_sha256[:16] or 'unknown'} ({_commit(then.git)})",
            f"{now.code_sha256[:16]} ({_commit(now.git)})",
        )
    for name in ("digest", "content_sha256"):
        yield from _differ(f"userland.{name}", then.userland, now.userland, name)
    yield from _packages("packages", then.userland.packages, now.userland.packages)
    yield from _packages("wheels", then.userland.wheels, now.userland.wheels)


def _differ(field: str, then: object, now: object, name: str) -> Iterator[Difference]:
    before, after = getattr(then, name), getattr(now, name)
    if before != after:
        yield Difference(field, before, after)


def _packages(kind: str, then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    other = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    for name in other[:MOST_NAMED]:
        yield Difference(f"userland.{kind}.{name}", then.get(name), now.get(name))
    if other[MOST_NAMED:]:
        more = f"another one of {len(other)} {kind} in all"
        yield Difference(f"userland.{kind}", then="as recorded", now=more)


def refuse_incomparable(found: list[Difference]) -> None:
    """
    Raise HostError with every difference that is not harmless.
    """
    refused = [str(each) for each in found if not each.harmless]
    if refused:
        msg = (
            f"the run cannot be resumed, because its trials would not be comparable: "
            f"{'; '.join(refused)}. Restore that, or begin a new run"
        )
        raise HostError(msg)


def code_digest(project: Path = PROJECT) -> str:
    """
    The SHA-256 over names and contents of the files that run during a measurement.
    """
    digest = sha256()
    for path in sorted(path for folder in CODE for path in (project / folder).rglob("*")):
        if path.is_file() and path.name not in NOT_CODE and "__pycache__" not in path.parts:
            for part in (path.relative_to(project).as_posix().encode(), path.read_bytes()):
                # The digest of each part has a fixed length, so that no two trees look the same.
                digest.update(sha256(part).digest())
    return digest.hexdigest()


def _commit(source: Source | None) -> str:
    if source is None:
        return "no commit"
    return f"commit {source.commit[:12]}" + (", changed" if source.changed else "")


def _words(value: object) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        return str(asdict(value))
    return "unknown" if value is None else str(value)
