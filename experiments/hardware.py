"""
CPU and memory of this machine, as /proc tells them.
"""

from __future__ import annotations

from pathlib import Path


def cpu_model(proc: Path = Path("/proc")) -> str | None:
    """
    The model of the first CPU; None if the kernel does not tell it.
    """
    return _first(proc / "cpuinfo", "model name")


def memory_bytes(field: str, proc: Path = Path("/proc")) -> int:
    """
    A field of /proc/meminfo, such as MemTotal, in bytes; 0 if the kernel does not tell it.
    """
    return int((_first(proc / "meminfo", field) or "0").split()[0]) * 1024


def available_bytes(proc: Path = Path("/proc")) -> int:
    """
    The memory that new programs can use without swapping, in bytes, as the kernel estimates it.
    """
    return memory_bytes("MemAvailable", proc)


def _first(path: Path, field: str) -> str | None:
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None
