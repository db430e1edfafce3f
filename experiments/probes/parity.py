"""
Parity: what really runs in each trial, and whether it differs only where its variant says so.

Facts are compared between variants, before any load. Each fact names the factors that explain a
difference in it; one that no declared factor explains is an error, unless the user allows it.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.deployments.oci import rank
from experiments.errors import ProofError
from experiments.factors import UNLIMITED, different

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.deployments import Deployment, Part
    from experiments.lab.cgroups import ControlGroup
    from experiments.variants import Variant

OVERLAYS = "overlays"
"""Stands for override files of the user's own among the reasons for a difference."""

CONFINING = ("runtime", "confinement")

EXPLAINED_BY: dict[str, tuple[str, ...]] = {
    "answer": (),
    "interpreter": (),
    "packages": (),
    "placement": (),
    "command": ("server", OVERLAYS),
    "gunicorn": ("server", OVERLAYS),
    "processes": ("server", "workers", OVERLAYS),
    "environment": (OVERLAYS,),
    "stdin": (),
    "stdout": ("stdio", OVERLAYS),
    "stderr": ("stdio", OVERLAYS),
    "cpu_limit": ("cpus", OVERLAYS),
    "memory_limit_bytes": ("memory", OVERLAYS),
    "open_files": ("runtime", OVERLAYS),
    "own_group": (*CONFINING, "cpus", "memory", OVERLAYS),
    "namespaces": (*CONFINING, OVERLAYS),
    "root": (*CONFINING, OVERLAYS),
    "capabilities": (*CONFINING, OVERLAYS),
    "seccomp": (*CONFINING, OVERLAYS),
    "user": (OVERLAYS,),
    "sysctls": ("network", "runtime", "entry", "userland_proxy", "beside", OVERLAYS),
    "helpers": ("runtime", "stdio", "entry", "userland_proxy", "beside"),
}
"""Every fact, and the factors that explain a difference in it."""

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
    "BURN_US": ("burn_us",),
}
"""Environment variables of the stack that factors set; every other one is the same everywhere."""

TIMEOUT_S = 10
ROOT_USER = "0"
UNFILTERED, FILTERED = "0", "2"
"""The states of seccomp in /proc/PID/status; see proc_pid_status(5)."""

DOCKER_CAPABILITIES = "00000000a80425fb"
"""The fourteen that Docker 26 leaves to root, as the kernel prints them."""

NAMESPACES = ("pid", "mnt", "uts", "ipc")

SERVICE_SYSCTLS = (
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_wmem",
)
"""Settings of a service's own network namespace that can change what is measured."""


class Parity:
    """
    Compares every trial with the trials before it, of every variant.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """
        ``allowed`` are names of facts that may differ without a declaration.
        """
        self._allowed = set(allowed)
        self._seen: dict[str, tuple[Variant, dict[str, Any]]] = {}

    def check(self, variant: Variant, facts: dict[str, Any]) -> list[str]:
        """
        The undeclared differences that the user allows, in words.

        Raises ProofError that names every other one, with both values.
        """
        allowed: list[str] = []
        wrong: list[str] = []
        for other, known in self._seen.values():
            for fact, words in undeclared(other, known, variant, facts):
                (allowed if fact in self._allowed else wrong).append(words)
        if wrong:
            shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if wrong[3:] else "")
            names = sorted({words.partition(" ")[0].rpartition(".")[2] for words in wrong})
            msg = (
                f"what runs differs from what the variants declare: {shown}. Mend it, or label it "
                f"in the report by --allow {','.join(names)}"
            )
            raise ProofError(msg)
        self._seen.setdefault(variant.name, (variant, facts))
        return sorted(set(allowed))


def undeclared(
    one: Variant, its: Mapping[str, Any], other: Variant, theirs: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """
    The differences between two variants' facts that no factor explains: the fact, and all in words.
    """
    reasons = set(different(one.levels, other.levels))
    if one.overlays != other.overlays:
        reasons.add(OVERLAYS)
    found = []
    for place in sorted(its.keys() | theirs.keys()):
        mine, yours = its.get(place) or {}, theirs.get(place) or {}
        for fact in sorted(mine.keys() | yours.keys()):
            for name, explained, left, right in _values(fact, mine.get(fact), yours.get(fact)):
                if left != right and not reasons & set(explained):
                    words = f"{place}.{name} is {left!r} in {one.name}, {right!r} in {other.name}"
                    found.append((fact, words))
    return found


def _values(
    fact: str, left: object, right: object
) -> list[tuple[str, tuple[str, ...], object, object]]:
    """
    What is compared for one fact: the environment variable by variable, the rest whole.
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


def prove_levels(variant: Variant, facts: Mapping[str, Any]) -> None:
    """
    Compare what runs with what the variant's own levels say about it.

    A variant with override files of the user's own may have anything, so nothing is expected there.
    Raises ProofError that names every fact which does not fit.
    """
    if variant.overlays:
        return
    wrong = [
        f"{service}.{fact} is {own[fact]!r}, and should be {wanted!r}"
        for service, own in facts.items()
        if service != "stack"
        for fact, wanted in expected_facts(variant.levels, own).items()
        if own[fact] != wanted
    ]
    if wrong:
        msg = f"{variant.name} is not what its levels say: {'; '.join(wrong)}"
        raise ProofError(msg)


def expected_facts(levels: Mapping[str, str], facts: Mapping[str, Any]) -> dict[str, Any]:
    """
    What the levels say about one service; ``facts`` tell which kind of service it is.
    """
    level = levels["confinement"]
    stream = {"null": "null", "file": "file"}.get(levels["stdio"], "pipe")
    limited = {levels["cpus"], levels["memory"]} != {UNLIMITED}
    expected: dict[str, Any] = {
        "stdout": stream,
        "stderr": stream,
        "cpu_limit": None if levels["cpus"] == UNLIMITED else float(levels["cpus"]),
        "memory_limit_bytes": memory_bytes(levels["memory"]),
        "own_group": rank(level, "cgroups") or limited,
        "namespaces": list(NAMESPACES) if rank(level, "namespaces") else [],
        "root": "overlay" if rank(level, "overlay") else "plain",
        "seccomp": FILTERED if rank(level, "seccomp") else UNFILTERED,
    }
    if facts["user"] == ROOT_USER and rank(level, "capabilities"):
        expected["capabilities"] = DOCKER_CAPABILITIES
    if any("services." in word for word in facts["command"]):
        by_gunicorn = levels["server"] == "gunicorn"
        expected["processes"] = 1 + int(levels["workers"]) * by_gunicorn
        expected["gunicorn"] = by_gunicorn
    return expected


def memory_bytes(level: str) -> int | None:
    """
    A level of the factor memory in bytes; None for no limit.
    """
    if level == UNLIMITED:
        return None
    return int(level[:-1]) * {"m": 2**20, "g": 2**30}[level[-1]]


def facts_of(deployment: Deployment, answer: Mapping[str, Any]) -> dict[str, Any]:
    """
    What really runs: facts about the answer, every service, and what is beside them.

    Raises ProofError when a process cannot be looked at.
    """
    try:
        services = {name: service_facts(part) for name, part in deployment.services().items()}
    except OSError as error:
        msg = f"what runs cannot be looked at: {error}"
        raise ProofError(msg) from error
    kinds = sorted({name.partition(" of ")[0] for name in deployment.helpers()})
    body = {key: answer[key] for key in ("status", "body_bytes", "body_sha256")}
    return {"stack": {"answer": body, "helpers": kinds}, **services}


def service_facts(part: Part) -> dict[str, Any]:
    """
    Facts about one service, by its first process.
    """
    proc = Path("/proc") / str(part.first_process)
    status = dict(
        line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line
    )
    limits = (proc / "limits").read_text().splitlines()
    open_files = next(line for line in limits if line.startswith("Max open files"))
    lines = (proc / "environ").read_bytes().decode(errors="replace").split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    if "HOSTNAME" in environment:
        # Docker makes a new one for every container.
        environment["HOSTNAME"] = "its own"
    return {
        "interpreter": digest(proc / "exe"),
        "packages": packages_digest(proc / "root"),
        "placement": status["Cpus_allowed_list"],
        "command": (proc / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1],
        "gunicorn": b"gunicorn" in (proc / "cmdline").read_bytes(),
        "processes": number_of_processes(part),
        "environment": environment,
        "stdin": stream(proc / "fd/0"),
        "stdout": stream(proc / "fd/1"),
        "stderr": stream(proc / "fd/2"),
        "cpu_limit": cpu_limit(part.group) if part.group else None,
        "memory_limit_bytes": memory_limit(part.group) if part.group else None,
        "open_files": open_files.split()[3:5],
        "own_group": part.group is not None,
        "namespaces": [
            kind
            for kind in NAMESPACES
            if (proc / "ns" / kind).readlink() != Path(f"/proc/self/ns/{kind}").readlink()
        ],
        "root": root_type(proc),
        "capabilities": status["CapEff"].strip(),
        "seccomp": status["Seccomp"].strip(),
        "user": status["Uid"].split()[1],
        "sysctls": sysctls(part.first_process),
    }


def digest(path: Path) -> str:
    """
    SHA-256 of a file, from memory for the same file once more.
    """
    found = path.stat()
    key = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
    if key not in _digests:
        _digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return _digests[key]


_digests: dict[tuple[int, int, int, int], str] = {}


def packages_digest(root: Path) -> str:
    """
    SHA-256 over the records of every Python package that is installed below ``root``.
    """
    # A link out of another process's root must not be followed: it would lead into ours.
    records = sorted(
        path
        for place in ("usr/local/lib", "usr/lib")
        for path in (root / place).glob("python3*/dist-packages/*.dist-info/RECORD")
    )
    lines = [f"{path.relative_to(root)} {digest(path)}" for path in records]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def number_of_processes(part: Part) -> int:
    """
    The processes of a part; threads are not counted.
    """
    if part.group is not None:
        return len(part.group.process_ids())
    count, waiting = 0, [part.first_process]
    while waiting:
        count += 1
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            waiting += map(int, children.read_text().split())
    return count


def stream(path: Path) -> str:
    """
    What an open file is: null, pipe, socket or file.
    """
    target = str(path.readlink())
    # By its number: its name depends on whose root it is seen from.
    if path.is_char_device() and path.stat().st_rdev == Path("/dev/null").stat().st_rdev:
        return "null"
    kind = target.partition(":[")[0]
    return kind if kind in {"pipe", "socket"} else "fifo" if path.is_fifo() else "file"


def cpu_limit(group: ControlGroup) -> float | None:
    """
    CPUs whose time a group may take; None for no limit.
    """
    directory = group.directory("cpu")
    if directory is None:
        return None
    if (directory / "cpu.max").exists():
        quota, period = (directory / "cpu.max").read_text().split()
    else:
        quota = (directory / "cpu.cfs_quota_us").read_text().strip()
        period = (directory / "cpu.cfs_period_us").read_text()
    return None if quota in {"max", "-1"} else int(quota) / int(period)


def memory_limit(group: ControlGroup) -> int | None:
    """
    Bytes of memory that a group may take; None for no limit.
    """
    directory = group.directory("memory")
    if directory is None:
        return None
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (directory / name).exists():
            text = (directory / name).read_text().strip()
            # v1 says "no limit" by a number near 2^63.
            return None if text == "max" or int(text) > 2**60 else int(text)
    return None


def root_type(proc: Path) -> str:
    """
    Whether a process's root is an overlay of its own, or none.
    """
    for line in (proc / "mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[4] == "/":
            return "overlay" if rest.split()[0] == "overlay" else "plain"
    return "plain"


def sysctls(pid: int) -> dict[str, str]:
    """
    Settings of the network namespace that a process is in.

    Raises OSError when they cannot be read.
    """
    # /proc/sys shows the settings of whoever reads it.
    enter = ["nsenter", f"--target={pid}", "--net", "--"]
    paths = [f"/proc/sys/{name}" for name in SERVICE_SYSCTLS]
    done = subprocess.run(
        [*enter, "grep", "--with-filename", "--no-messages", "", *paths],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    lines = (line.partition(":") for line in done.stdout.splitlines())
    return {name.removeprefix("/proc/sys/"): value for name, _, value in lines}
