"""
What really runs in a deployment, read from /proc and control groups: what parity compares.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import ProofError
from experiments.probes.cpu import descendants
from experiments.records.trials import Facts, ProcessFacts, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from experiments.deployments import Deployment, Part
    from experiments.lab.cgroups import ControlGroup
    from experiments.records.trials import Answer

TIMEOUT_S = 10

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


def facts_of(deployment: Deployment, answer: Answer) -> Facts:
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
    return Facts(answer, kinds, services)


def service_facts(part: Part) -> ServiceFacts:
    """
    Facts about one service: by its first process, and in what its other processes differ from it.
    """
    proc = Path("/proc") / str(part.first_process)
    lines = (proc / "environ").read_bytes().decode(errors="replace").split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    if "HOSTNAME" in environment:
        # Docker makes a new one for every container.
        environment["HOSTNAME"] = "its own"
    processes = processes_of(part)
    first = process_facts(proc)
    return ServiceFacts(
        **vars(first),
        packages=packages_digest(proc / "root"),
        command=(proc / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1],
        gunicorn=b"gunicorn" in (proc / "cmdline").read_bytes(),
        processes=len(processes),
        others=differences(first, [pid for pid in processes if pid != part.first_process]),
        environment=environment,
        stdin=stream(proc / "fd/0"),
        cpu_limit=cpu_limit(part.group) if part.group else None,
        memory_limit_bytes=memory_limit(part.group) if part.group else None,
        own_group=part.group is not None,
        sysctls=sysctls(part.first_process),
    )


def process_facts(proc: Path) -> ProcessFacts:
    """
    Facts about the process of this folder below /proc.
    """
    status = dict(
        line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line
    )
    limits = (proc / "limits").read_text().splitlines()
    open_files = next(line for line in limits if line.startswith("Max open files"))
    return ProcessFacts(
        interpreter=digest(proc / "exe"),
        placement=status["Cpus_allowed_list"],
        stdout=stream(proc / "fd/1"),
        stderr=stream(proc / "fd/2"),
        open_files=open_files.split()[3:5],
        namespaces=[
            kind
            for kind in NAMESPACES
            if (proc / "ns" / kind).readlink() != Path(f"/proc/self/ns/{kind}").readlink()
        ],
        root=root_type(proc),
        capabilities=status["CapEff"].strip(),
        seccomp=status["Seccomp"].strip(),
        user=status["Uid"].split()[1],
    )


def differences(first: ProcessFacts, others: Iterable[int]) -> list[str]:
    """
    In what processes, such as a server's workers, differ from the first one of their service.
    """
    found = set()
    for pid in others:
        try:
            facts = process_facts(Path("/proc") / str(pid))
        except (FileNotFoundError, ProcessLookupError):
            # A database's workers come and go.
            continue
        found |= {
            f"{name} {value!r} instead of {getattr(first, name)!r}"
            for name, value in vars(facts).items()
            if value != getattr(first, name)
        }
    return sorted(found)


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


def processes_of(part: Part) -> list[int]:
    """
    The processes of a part by their numbers; threads are not counted.
    """
    return sorted(part.group.process_ids()) if part.group else descendants(part.first_process)


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

    Raises ProofError when they cannot be read in time.
    """
    # /proc/sys shows the settings of whoever reads it.
    enter = ["nsenter", f"--target={pid}", "--net", "--"]
    paths = [f"/proc/sys/{name}" for name in SERVICE_SYSCTLS]
    command = [*enter, "grep", "--with-filename", "--no-messages", "", *paths]
    # grep fails where one setting is missing, and prints the others.
    ended = run_command(command, limit_s=TIMEOUT_S)
    if ended.status is None:
        raise ProofError(ended.failure())
    lines = (line.partition(":") for line in ended.text.splitlines())
    return {name.removeprefix("/proc/sys/"): value for name, _, value in lines}
