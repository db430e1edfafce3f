"""
Ways out by the kernel's files in /proc and /sys.
"""

# ruff: noqa: D103 - the name of a probe says what it tries

from __future__ import annotations

import errno
import os
from pathlib import Path

from .kernel import files_below, opened, probe


@probe
def core_pattern() -> str:
    return opened(["/proc/sys/kernel/core_pattern"], os.O_WRONLY)


@probe
def modprobe_path() -> str:
    return opened(["/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug"], os.O_WRONLY)


@probe
def any_sysctl_of_the_machine() -> str:
    files = (path for path in files_below("/proc/sys") if "/proc/sys/net/" not in str(path))
    return opened(files, os.O_WRONLY)


@probe
def uevent_helper() -> str:
    return opened(["/sys/kernel/uevent_helper"], os.O_WRONLY)


@probe
def any_file_of_sysfs() -> str:
    tops = ("/sys/kernel", "/sys/module", "/sys/power", "/sys/class", "/sys/bus")
    return opened((path for top in tops for path in files_below(top)), os.O_WRONLY)


@probe
def sysrq() -> str:
    return opened(["/proc/sysrq-trigger"], os.O_WRONLY)


@probe
def interrupts() -> str:
    return opened(Path("/proc/irq").glob("*/smp_affinity"), os.O_WRONLY)


@probe
def kernel_memory() -> str:
    if not Path("/proc/kcore").read_bytes()[:1]:
        raise OSError(errno.ENODATA, "empty")
    return "/proc/kcore can be read"


@probe
def firmware() -> str:
    return opened(files_below("/sys/firmware"))


@probe
def any_control_group() -> str:
    names = (
        "cgroup.procs",
        "release_agent",
        "memory.max",
        "memory.limit_in_bytes",
        "devices.allow",
    )
    files = (path for path in files_below("/sys/fs/cgroup") if path.name in names)
    return opened(files, os.O_WRONLY)


@probe
def debugging_file_systems() -> str:
    return opened(
        [*Path("/sys/kernel/debug").glob("*"), *Path("/sys/kernel/tracing").glob("*"),
         *Path("/sys/fs/bpf").glob("*"), *Path("/sys/kernel/security").glob("*")]
    )  # fmt: skip
