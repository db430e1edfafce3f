"""
Parity: trials may differ only in facts that their variants declare.

Facts are compared between variants before any load. Every fact has a list of factors that explain a
difference. A difference without such a factor is an error, unless the user allows it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from msgspec import structs

from experiments.declare.factors import UNLIMITED, different
from experiments.deployments.oci import has_primitive
from experiments.errors import ProofError
from experiments.probes.facts import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.declare.variants import Variant
    from experiments.records.trials import Facts, ServiceFacts

OVERLAYS = "overlays"
"""Represents the user's override files among the factors."""

CONFINING = ("runtime", "confinement")

EXPLAINED_BY: dict[str, tuple[str, ...]] = {
    "answer": (),
    "interpreter": (),
    "packages": (),
    "placement": (),
    "command": ("server", OVERLAYS),
    "gunicorn": ("server", OVERLAYS),
    "processes": ("server", "workers", OVERLAYS),
    "others": (OVERLAYS,),
    "environment": (OVERLAYS,),
    "stdin": (),
    "stdout": ("stdio", OVERLAYS),
    "stderr": ("stdio", OVERLAYS),
    "cpu_limit": ("cpus", "limits", OVERLAYS),
    "memory_limit_bytes": ("memory", "limits", OVERLAYS),
    "open_files": ("runtime", OVERLAYS),
    "own_group": (*CONFINING, "cpus", "memory", "limits", OVERLAYS),
    "namespaces": (*CONFINING, OVERLAYS),
    "root": (*CONFINING, OVERLAYS),
    "capabilities": (*CONFINING, OVERLAYS),
    "seccomp": (*CONFINING, OVERLAYS),
    "user": (OVERLAYS,),
    "sysctls": ("network", "runtime", "entry", "userland_proxy", "beside", OVERLAYS),
    "helpers": ("runtime", "stdio", "entry", "userland_proxy", "beside"),
}
"""The factors that explain a difference in a fact, by fact."""

VARIABLES: dict[str, tuple[str, ...]] = {
    "HOSTNAME": CONFINING,
    "PORT": ("network",),
    "PRODUCT_BACKENDS": ("network", "discovery"),
    "ORDER_BACKENDS": ("network", "discovery"),
    "PGHOST": ("network", "discovery"),
    "REDIS_HOST": ("network", "discovery"),
    "LOG_REQUESTS": ("request_log",),
    "GUNICORN_WORKERS": ("server", "workers"),
    "GUNICORN_CLASS": ("server", "worker_class"),
    "CALLS": ("calls",),
    "BURN_US": ("burn_us",),
    "SLEEP_US": ("sleep_us",),
}
"""The factors that set an environment variable; other variables must always be equal."""

ROOT_USER = "0"
UNFILTERED, FILTERED = "0", "2"
"""The states of seccomp in /proc/PID/status; see proc_pid_status(5)."""

DOCKER_CAPABILITIES = "00000000a80425fb"
"""The fourteen capabilities that Docker 26 gives to root, as the kernel prints them."""

PLAIN_CAPABILITIES = "000000009004fdfb"
"""Those of root without this primitive: the names are in ``experiments.lab.capabilities``."""


class Parity:
    """
    Compares every trial with the earlier trials of all variants.
    """

    def __init__(self, allowed: Sequence[str] = (), *, own: bool = True) -> None:
        """
        ``allowed`` names facts that may differ without a declaration.

        Services that are not the project's ``own`` may start and end processes at any time.
        """
        self._allowed = set(allowed)
        self._ignored = set() if own else {"processes"}
        self._seen: dict[str, tuple[Variant, Facts]] = {}
        # Trials are brought up concurrently.
        self._lock = threading.Lock()

    def check(self, variant: Variant, facts: Facts) -> list[str]:
        """
        The undeclared differences that the user allows, in words.

        Raises ProofError with all others, and with both values of each.
        """
        with self._lock:
            return self._check(variant, facts)

    def remember(self, variant: Variant, facts: Facts) -> None:
        """
        Compare later trials with this one, too, which an earlier session checked.
        """
        self._seen.setdefault(variant.name, (variant, facts))

    def _check(self, variant: Variant, facts: Facts) -> list[str]:
        allowed: list[str] = []
        wrong: list[str] = []
        for other, known in self._seen.values():
            for fact, words in undeclared(other, known, variant, facts):
                if fact in self._ignored:
                    continue
                (allowed if fact in self._allowed else wrong).append(words)
        if wrong:
            shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if wrong[3:] else "")
            names = sorted({words.partition(" ")[0].rpartition(".")[2] for words in wrong})
            msg = (
                f"trials differ in facts that their variants do not declare: {shown}. Remove the "
                f"difference, or allow it with --allow {','.join(names)}; the report then labels it"
            )
            raise ProofError(msg)
        self._seen.setdefault(variant.name, (variant, facts))
        return sorted(set(allowed))


def undeclared(one: Variant, its: Facts, other: Variant, theirs: Facts) -> list[tuple[str, str]]:
    """
    The differences between two variants that no factor explains: the fact, and a description.
    """
    reasons = set(different(one.levels, other.levels))
    if one.overlays != other.overlays:
        reasons.add(OVERLAYS)
    found = []
    here, there = by_place(its), by_place(theirs)
    for place in sorted(here.keys() | there.keys()):
        mine, yours = here.get(place, {}), there.get(place, {})
        for fact in sorted(mine.keys() | yours.keys()):
            for name, explained, left, right in _values(fact, mine.get(fact), yours.get(fact)):
                if left != right and not reasons & set(explained):
                    words = f"{place}.{name} is {left!r} in {one.name}, {right!r} in {other.name}"
                    found.append((fact, words))
    return found


def by_place(facts: Facts) -> dict[str, dict[str, object]]:
    """
    All facts by name, of every service and of the stack as a whole.
    """
    services = {name: structs.asdict(each) for name, each in facts.services.items()}
    return {"stack": {"answer": facts.answer, "helpers": facts.helpers}, **services}


def _values(
    fact: str, left: object, right: object
) -> list[tuple[str, tuple[str, ...], object, object]]:
    """
    The values to compare for a fact; the environment is compared variable by variable.
    """
    if fact != "environment" or not isinstance(left, dict) or not isinstance(right, dict):
        return [(fact, EXPLAINED_BY[fact], left, right)]
    return [
        (
            f"{fact} {name}",
            (*VARIABLES.get(name, ()), *EXPLAINED_BY[fact]),
            left.get(name),
            right.get(name),
        )
        for name in sorted(left.keys() | right.keys())
    ]


ANYBODY_S = ("namespaces", "own_group", "root")
"""The facts that a confinement implies for whatever program runs in it."""


def prove_levels(variant: Variant, facts: Facts, *, own: bool = True) -> None:
    """
    Compare the facts with the variant's levels.

    Of services that are not the project's ``own``, only their confinement is expected, and nothing
    of a variant with the user's override files. Raises ProofError with every
    fact that does not match.
    """
    if variant.overlays:
        return
    wrong = [
        f"{service}.{fact} is {getattr(its, fact)!r}, but should be {wanted!r}"
        for service, its in facts.services.items()
        for fact, wanted in expected_facts(variant.levels, its).items()
        if (own or fact in ANYBODY_S) and getattr(its, fact) != wanted
    ]
    if wrong:
        msg = f"{variant.name} does not have its declared levels: {'; '.join(wrong)}"
        raise ProofError(msg)


def expected_facts(levels: Mapping[str, str], facts: ServiceFacts) -> dict[str, Any]:
    """
    The facts that the levels imply for a service; ``facts`` tell which kind of service it is.
    """
    confinement = levels["confinement"]
    stream = {"null": "null", "file": "file"}.get(levels["stdio"], "pipe")
    limited = {levels["cpus"], levels["memory"]} != {UNLIMITED}
    expected: dict[str, Any] = {
        "stdout": stream,
        "stderr": stream,
        "cpu_limit": None if levels["cpus"] == UNLIMITED else float(levels["cpus"]),
        "memory_limit_bytes": memory_bytes(levels["memory"]),
        "own_group": has_primitive(confinement, "cgroups") or limited,
        "namespaces": list(NAMESPACES) if has_primitive(confinement, "namespaces") else [],
        "root": "overlay" if has_primitive(confinement, "overlay") else "plain",
        "seccomp": FILTERED if has_primitive(confinement, "seccomp") else UNFILTERED,
        "others": [],
    }
    if facts.user == ROOT_USER:
        by_docker = has_primitive(confinement, "capabilities")
        expected["capabilities"] = DOCKER_CAPABILITIES if by_docker else PLAIN_CAPABILITIES
    if any("services." in word for word in facts.command):
        by_gunicorn = levels["server"] == "gunicorn"
        expected["processes"] = 1 + int(levels["workers"]) * by_gunicorn
        expected["gunicorn"] = by_gunicorn
    return expected


def memory_bytes(level: str) -> int | None:
    """
    A level of the factor memory in bytes; None for unlimited.
    """
    if level == UNLIMITED:
        return None
    return int(level[:-1]) * {"m": 2**20, "g": 2**30}[level[-1]]
