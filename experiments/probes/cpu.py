"""
CPU time by where it is spent: services, client, Docker, kernel, and the unaccounted rest.

It is read from control groups (v1, hybrid or v2), or from /proc for a part without one. Nothing is
sampled: counters are read before and after a load only.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.records.cpu import BUSY, CLIENT, DAEMON, PROXY, RUNNER, STAT_FIELDS
from experiments.records.trials import CpuSpent, CpuTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from experiments.deployments import Part
    from experiments.lab.cgroups import ControlGroup

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuCounters:
    """
    One reading of all counters.

    ``at`` is on the monotonic clock; ``machine_s`` are the columns of /proc/stat in seconds, summed
    over CPUs.
    """

    at: float
    parts: dict[str, CpuTime]
    throttled_s: dict[str, float]
    machine_s: dict[str, float]
    context_switches: int

    @classmethod
    def read(cls, parts: Mapping[str, Part], groups: Mapping[str, ControlGroup]) -> CpuCounters:
        """
        Read all counters now.
        """
        times = {name: part_time(part) for name, part in parts.items()}
        proxies = proxy_processes(parts)
        if proxies:
            times[PROXY] = processes_time(proxies)
            # They are in the daemon's group too.
            times[DAEMON] -= times[PROXY]
        times |= {name: group_time(groups[name]) for name in (CLIENT, RUNNER)}
        throttled = {
            name: throttled_s(part.group) for name, part in parts.items() if part.group is not None
        }
        machine, switches = machine_time()
        return cls(time.monotonic(), times, throttled, machine, switches)


def cpu_cost(before: CpuCounters, after: CpuCounters) -> CpuSpent:
    """
    The CPU time between two readings.

    The unaccounted time is the machine's busy time in /proc/stat minus all parts, and minus
    interrupts if the kernel counts them separately from the interrupted tasks.
    """
    duration_s = after.at - before.at
    parts = {name: spent - before.parts[name] for name, spent in after.parts.items()}
    machine_s = {name: after.machine_s[name] - before.machine_s[name] for name in STAT_FIELDS}
    accounted = sum(spent.total_s for spent in parts.values())
    apart = interrupts_are_apart()
    if apart:
        accounted += machine_s["irq"] + machine_s["softirq"]
    client = parts[CLIENT]
    return CpuSpent(
        duration_s=duration_s,
        parts=parts,
        machine_s=machine_s,
        interrupts_apart=apart,
        unaccounted_s=sum(machine_s[name] for name in BUSY) - accounted,
        context_switches=after.context_switches - before.context_switches,
        throttled_s={
            name: after.throttled_s[name] - seconds for name, seconds in before.throttled_s.items()
        },
        client_share=client.total_s / duration_s,
    )


def add_costs(total: CpuSpent | None, cost: CpuSpent) -> CpuSpent:
    """
    The CPU time of several loads of one deployment, with one more load added.
    """
    if total is None:
        return cost

    def added(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
        return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {*one, *other}}

    none = CpuTime()
    parts = {
        name: total.parts.get(name, none) + cost.parts.get(name, none)
        for name in {*total.parts, *cost.parts}
    }
    duration_s = total.duration_s + cost.duration_s
    return CpuSpent(
        duration_s=duration_s,
        parts=parts,
        machine_s=added(total.machine_s, cost.machine_s),
        interrupts_apart=cost.interrupts_apart,
        unaccounted_s=total.unaccounted_s + cost.unaccounted_s,
        context_switches=total.context_switches + cost.context_switches,
        throttled_s=added(total.throttled_s, cost.throttled_s),
        client_share=parts[CLIENT].total_s / duration_s,
    )


def part_time(part: Part) -> CpuTime:
    """
    The CPU time of a part since its start.
    """
    if part.group is not None:
        return group_time(part.group)
    return processes_time(descendants(part.first_process))


def group_time(group: ControlGroup) -> CpuTime:
    """
    The CPU time of all processes that were ever in a control group or below.
    """
    directory = group.directory("cpuacct")
    if directory is not None:
        user_ns = int((directory / "cpuacct.usage_user").read_text())
        all_ns = int((directory / "cpuacct.usage").read_text())
        return CpuTime(user_ns / 1e9, (all_ns - user_ns) / 1e9)
    # On v2 every group has cpu.stat, even without controllers.
    (unified,) = (
        hierarchy.base / group.path for hierarchy in group.hierarchies if hierarchy.version == 2
    )
    stat = key_values(unified / "cpu.stat")
    return CpuTime(stat["user_usec"] / 1e6, stat["system_usec"] / 1e6)


def throttled_s(group: ControlGroup) -> float:
    """
    The seconds in which a CPU limit stopped a group.
    """
    directory = group.directory("cpu")
    if directory is None or not (directory / "cpu.stat").exists():
        return 0.0
    stat = key_values(directory / "cpu.stat")
    # v1 counts nanoseconds, v2 microseconds.
    return stat.get("throttled_time", 0) / 1e9 + stat.get("throttled_usec", 0) / 1e6


def key_values(path: Path) -> dict[str, int]:
    """
    The content of a file with one name and one integer per line.
    """
    return {
        name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())
    }


def processes_time(pids: Iterable[int]) -> CpuTime:
    """
    The CPU time of processes with all threads, ended ones included, to a clock tick.
    """
    total = CpuTime()
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        # After the name in brackets, which may contain anything: utime and stime of the process,
        # then those of its children; see proc_pid_stat(5).
        fields = stat.rpartition(")")[2].split()
        user, system, children_user, children_system = (int(field) for field in fields[11:15])
        total += CpuTime(
            (user + children_user) / TICKS_PER_S, (system + children_system) / TICKS_PER_S
        )
    return total


def running_s(pids: Iterable[int]) -> float:
    """
    The running time of the existing threads of processes in seconds, to a nanosecond.

    Without CONFIG_SCHED_INFO in the kernel, to a clock tick.
    """
    total = 0.0
    for pid in pids:
        threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        if not threads:
            spent = processes_time([pid])
            total += spent.total_s
        for thread in threads:
            with contextlib.suppress(OSError):
                total += int(thread.read_text().split()[0]) / 1e9
    return total


def descendants(pid: int) -> list[int]:
    """
    A process and all of its descendants.
    """
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def proxy_processes(parts: Mapping[str, Part]) -> list[int]:
    """
    The docker-proxy processes in the daemon's control group.
    """
    part = parts.get(DAEMON)
    if part is None or part.group is None:
        return []
    found = []
    for pid in part.group.process_ids():
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if name == PROXY:
            found.append(pid)
    return sorted(found)


def machine_time(proc: Path = Path("/proc")) -> tuple[dict[str, float], int]:
    """
    The columns of /proc/stat in seconds, and the context switches since the machine booted.
    """
    lines = (proc / "stat").read_text().splitlines()
    columns = map(int, lines[0].split()[1:])
    switches = next(int(line.split()[1]) for line in lines if line.startswith("ctxt "))
    seconds = {name: ticks / TICKS_PER_S for name, ticks in zip(STAT_FIELDS, columns, strict=False)}
    return seconds, switches


def interrupts_are_apart(proc: Path = Path("/proc")) -> bool | None:
    """
    Whether the kernel counts interrupts separately from the interrupted tasks.

    None if the kernel does not publish its configuration.
    """
    try:
        text = gzip.decompress((proc / "config.gz").read_bytes()).decode(errors="replace")
    except OSError:
        return None
    return "\nCONFIG_IRQ_TIME_ACCOUNTING=y" in text
