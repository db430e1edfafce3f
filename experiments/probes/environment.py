"""
The machine as seen from the lab: kernel, CPUs, memory, control groups and settings.
"""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

from experiments.hardware import cpu_model, memory_bytes
from experiments.lab.cgroups import hierarchies, layout
from experiments.records.manifest import Environment

SYSCTLS = (
    "kernel/pid_max",
    "kernel/sched_autogroup_enabled",
    "kernel/randomize_va_space",
    "net/core/somaxconn",
    "net/core/netdev_max_backlog",
    "net/core/default_qdisc",
    "net/core/rmem_default",
    "net/core/wmem_default",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_max_syn_backlog",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_wmem",
    "net/netfilter/nf_conntrack_max",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/swappiness",
)
"""Settings below /proc/sys that can affect the results."""


def environment(
    sys: Path = Path("/sys"), proc: Path = Path("/proc"), *, inside_lab: bool = True
) -> Environment:
    """
    The machine's properties; None for a property that the kernel does not tell.
    """
    cpuinfo = _read(proc / "cpuinfo") or ""
    clock = sys / "devices/system/clocksource/clocksource0/current_clocksource"
    governor = sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor"
    return Environment(
        kernel=platform.release(),
        kernel_build=platform.version(),
        architecture=platform.machine(),
        python=platform.python_version(),
        cpu_model=cpu_model(proc),
        cpus=sorted(os.sched_getaffinity(0)),
        cpus_online=os.cpu_count(),
        memory_bytes=memory_bytes("MemTotal", proc) or None,
        swap_bytes=memory_bytes("SwapTotal", proc),
        cgroup_layout=layout(hierarchies(inside_lab=inside_lab)),
        # Only x86 has this flag.
        virtualised="hypervisor" in cpuinfo if "flags" in cpuinfo else None,
        clock_source=_read(clock),
        cpu_governor=_read(governor),
        open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        sysctls={name: _read(proc / "sys" / name) for name in SYSCTLS},
    )


def boot_id(proc: Path = Path("/proc")) -> str | None:
    """
    The kernel's name for the time since the start of the machine.
    """
    return _read(proc / "sys/kernel/random/boot_id")


def stolen_s(proc: Path = Path("/proc")) -> float:
    """
    The time in which this machine was ready but the hypervisor ran others, in CPU seconds.
    """
    fields = (proc / "stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
