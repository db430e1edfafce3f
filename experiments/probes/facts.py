"""
The facts about a deployment that parity compares, read from /proc and control groups.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from experiments.commands import run_command
from experiments.errors import ProofError
from experiments.probes.cpu import descendants
from experiments.records.cpu import part_of
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
"""Settings of a service's network namespace that can affect the results."""


def facts_of(deployment: Deployment, answer: Answer, *, own: bool = True) -> Facts:
    """
    The facts about the answer, the services and the helper processes.

    Of services that are not the project's ``own``, the environment and the command line have
    digests in place of values, which may be secrets. Raises ProofError if a process cannot be read
    as a whole.
    """
    services = {}
    for name, part in deployment.services().items():
        try:
            found = service_facts(part)
            services[name] = found if own else without_secrets(found)
        except (OSError, LookupError, StopIteration) as error:
            # What is read of a process that is just ending may be cut off anywhere.
            msg = f"cannot read the facts about service {name}: {error!r}"
            raise ProofError(msg) from error
        if not (services[name].command and services[name].processes and services[name].sysctls):
            msg = (
                f"the facts about service {name} are incomplete, as of a process that has ended: "
                f"command line {services[name].command}, {services[name].processes} processes, "
                f"{len(services[name].sysctls)} sysctls"
            )
            raise ProofError(msg)
    kinds = sorted({part_of(name) for name in deployment.helpers()})
    return Facts(answer, kinds, services)


def without_secrets(facts: ServiceFacts) -> ServiceFacts:
    """
    The facts about a service with digests of values and arguments; the program keeps its name.
    """
    program, *arguments = facts.command or [""]
    return structs.replace(
        facts,
        environment={name: masked(value) for name, value in facts.environment.items()},
        command=[program, *map(masked, arguments)] if facts.command else [],
    )


def masked(value: str) -> str:
    """
    The digest of a value.
    """
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"


def service_facts(part: Part) -> ServiceFacts:
    """
    The facts about one service: its first process, and the differences of its other processes.
    """
    proc = Path("/proc") / str(part.first_process)
    lines = (proc / "environ").read_bytes().decode(errors="replace").split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    if "HOSTNAME" in environment:
        # Docker creates a new one for every container.
        environment["HOSTNAME"] = "its own"
    processes = processes_of(part)
    first = process_facts(proc, part.sandbox)
    return ServiceFacts(
        **structs.asdict(first),
        packages=packages_digest(proc / "root"),
        command=(proc / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1],
        gunicorn=b"gunicorn" in (proc / "cmdline").read_bytes(),
        processes=len(processes),
        others=differences(
            first, [pid for pid in processes if pid != part.first_process], part.sandbox
        ),
        environment=environment,
        stdin=stream(proc / "fd/0"),
        cpu_limit=cpu_limit(part.group) if part.group else None,
        memory_limit_bytes=memory_limit(part.group) if part.group else None,
        own_group=part.group is not None,
        sysctls=sysctls(part.first_process),
    )


def process_facts(proc: Path, sandbox: int | None = None) -> ProcessFacts:
    """
    The facts about the process with this directory below /proc.
    """
    shared = Path(f"/proc/{sandbox or 'self'}/ns")
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
            if (proc / "ns" / kind).readlink() != (shared / kind).readlink()
        ],
        root=root_type(proc),
        capabilities=status["CapEff"].strip(),
        seccomp=status["Seccomp"].strip(),
        user=status["Uid"].split()[1],
    )


def differences(
    first: ProcessFacts, others: Iterable[int], sandbox: int | None = None
) -> list[str]:
    """
    The differences between other processes of a service, such as workers, and its first one.
    """
    found = set()
    for pid in others:
        try:
            facts = process_facts(Path("/proc") / str(pid), sandbox)
        except (FileNotFoundError, ProcessLookupError):
            # A database's workers come and go.
            continue
        found |= {
            f"{name} {value!r} instead of {getattr(first, name)!r}"
            for name, value in structs.asdict(facts).items()
            if value != getattr(first, name)
        }
    return sorted(found)


def digest(path: Path) -> str:
    """
    The SHA-256 of a file, cached by inode and time.
    """
    found = path.stat()
    key = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
    if key not in _digests:
        _digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return _digests[key]


_digests: dict[tuple[int, int, int, int], str] = {}


def packages_digest(root: Path) -> str:
    """
    SHA-256 over the RECORD files of all Python packages below ``root``.
    """
    # Links are not followed: a link in another root would lead into this one.
    records = sorted(
        path
        for place in ("usr/local/lib", "usr/lib")
        for path in (root / place).glob("python3*/dist-packages/*.dist-info/RECORD")
    )
    lines = [f"{path.relative_to(root)} {digest(path)}" for path in records]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def processes_of(part: Part) -> list[int]:
    """
    The process ids of a part, without threads.
    """
    return sorted(part.group.process_ids()) if part.group else descendants(part.first_process)


def stream(path: Path) -> str:
    """
    The kind of an open file: null, pipe, socket, fifo or file.
    """
    target = str(path.readlink())
    # By its device number, because its name depends on the root.
    if path.is_char_device() and path.stat().st_rdev == Path("/dev/null").stat().st_rdev:
        return "null"
    kind = target.partition(":[")[0]
    return kind if kind in {"pipe", "socket"} else "fifo" if path.is_fifo() else "file"


def cpu_limit(group: ControlGroup) -> float | None:
    """
    The CPU limit of a group in CPUs; None without a limit.
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
    The memory limit of a group in bytes; None without a limit.
    """
    directory = group.directory("memory")
    if directory is None:
        return None
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (directory / name).exists():
            text = (directory / name).read_text().strip()
            # v1 shows a number near 2^63 instead of no limit.
            return None if text == "max" or int(text) > 2**60 else int(text)
    return None


def root_type(proc: Path) -> str:
    """
    The kind of a process's root: overlay or plain.
    """
    for line in (proc / "mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[4] == "/":
            return "overlay" if rest.split()[0] == "overlay" else "plain"
    return "plain"


def sysctls(pid: int) -> dict[str, str]:
    """
    The settings of a process's network namespace.

    Raises ProofError if they cannot be read in time.
    """
    # /proc/sys shows the settings of the reading process.
    enter = ["nsenter", f"--target={pid}", "--net", "--"]
    paths = [f"/proc/sys/{name}" for name in SERVICE_SYSCTLS]
    command = [*enter, "grep", "--with-filename", "--no-messages", "", *paths]
    # grep fails if one setting is missing, but prints the others.
    ended = run_command(command, limit_s=TIMEOUT_S)
    if ended.status is None:
        raise ProofError(ended.failure())
    lines = (line.partition(":") for line in ended.text.splitlines())
    return {name.removeprefix("/proc/sys/"): value for name, _, value in lines}
