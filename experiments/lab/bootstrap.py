"""
Debian root file systems by mmdebstrap: the common part of the userland and the VM's box.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUITE = "trixie"

DEBIAN_ADVICE = "If a download failed, try again; --mirror names another Debian mirror"

EPOCH_S = 1_750_000_000
"""The modification time of all files of a build, fixed so that builds are reproducible."""

DPKG_EXCLUDES = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*/*")

BUILD_TIMEOUT_S = 1800

SEALED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    # For tools that honour it, such as those that make the initial RAM disk.
    *("env", f"SOURCE_DATE_EPOCH={EPOCH_S}"),
)
"""The prefix of every build step: its processes and mounts end with it, however it ends."""


def package_names(text: str) -> list[str]:
    """
    The package names in a list with ``#`` comments.
    """
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def mmdebstrap_command(
    root: str, mirror: str, packages_file: Path, hooks: Sequence[str]
) -> list[str]:
    """
    The command that builds a tree at ``root`` from a package list; ``hooks`` are its options.
    """
    packages = ",".join(package_names(packages_file.read_text()))
    command = ["mmdebstrap", "--variant=minbase", f"--include={packages}"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in DPKG_EXCLUDES]
    command += hooks
    if mirror:
        # The Release file of a snapshot has expired.
        command.append('--aptopt=Acquire::Check-Valid-Until "false"')
    return [*command, SUITE, root, *([mirror] if mirror else [])]


def run_step(command: Sequence[str], what: str, *settings: str, advice: str = "") -> None:
    """
    Run a build step, with ``settings`` such as ``NAME=value`` in its environment.

    Raises HostError with its last lines, with ``what`` was built, and with ``advice``.
    """
    ended = run_command([*SEALED, *settings, *command], limit_s=BUILD_TIMEOUT_S, merge=True)
    if not ended.ok:
        said = [f"while {what} was built, {ended.failure(command[0])}", *filter(None, [advice])]
        raise HostError("\n".join(said))


def clamp_times(root: Path, started: float) -> None:
    """
    Give everything modified since ``started`` (seconds since the epoch) the fixed time EPOCH_S.
    """
    for path in [root, *walk(root)]:
        if path.lstat().st_mtime >= started:
            os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)


def walk(root: Path) -> Iterable[Path]:
    """
    Every path below ``root``, in sorted order, without following links.
    """
    for directory, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            yield Path(directory) / name


def installed_packages(root: Path) -> dict[str, str]:
    """
    The Debian packages installed in the tree, with their versions.
    """
    packages = {}
    for block in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line[:40])
        if "installed" in fields.get("Status", ""):
            packages[fields["Package"]] = fields["Version"]
    return dict(sorted(packages.items()))
