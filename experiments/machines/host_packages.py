"""
Packages that the host needs: said what and why, then installed where that can be done.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import run_command
from experiments.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INSTALL_TIMEOUT_S = 900


@dataclass(frozen=True)
class Need:
    """
    A command or a file, the Debian package that has it, and what it is for.
    """

    wanted: str
    package: str
    purpose: str

    def missing(self) -> bool:
        """
        Whether the host lacks it.
        """
        if self.wanted.startswith("/"):
            return not Path(self.wanted).exists()
        return shutil.which(self.wanted) is None


TO_ENTER = (
    Need("unshare", "util-linux", "to make the lab's namespaces"),
    Need("setpriv", "util-linux", "to end the lab when its owner ends"),
    Need("mount", "mount", "to mount the lab's root"),
    Need("bash", "bash", "to set the lab up"),
)
TO_BUILD = (
    Need("mmdebstrap", "mmdebstrap", "to build the userland"),
    Need("tar", "tar", "to make the Docker image from the userland"),
    Need(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
        "to check Debian's signatures",
    ),
)


def ensure(needs: Sequence[Need], say: Callable[[str], None] = print) -> None:
    """
    Install what is missing, when the host is Debian-like and the user is root.

    Raises HostError that names the packages otherwise, or when the installation fails.
    """
    missing = [need for need in needs if need.missing()]
    if not missing:
        return
    packages = sorted({need.package for need in missing})
    reasons = ", ".join(sorted({f"{need.package} ({need.purpose})" for need in missing}))
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        msg = f"this host lacks: {reasons}. Install {' '.join(packages)} and try again"
        raise HostError(msg)
    say(f"installing with apt-get what this host lacks: {reasons}")
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    update = run_command(
        ["apt-get", "update", "--quiet"], limit_s=INSTALL_TIMEOUT_S, environment=environment
    )
    if update.status is None:
        raise HostError(update.failure())
    # An update that failed leaves the lists of before, which often will do.
    done = run_command(install, limit_s=INSTALL_TIMEOUT_S, environment=environment, merge=True)
    if not done.ok:
        raise HostError(done.failure())
    still = [need.wanted for need in missing if need.missing()]
    if still:
        msg = f"after installing {' '.join(packages)} there is still no {', '.join(still)}"
        raise HostError(msg)
