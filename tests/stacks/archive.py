"""
The archive of `docker save` with the images of the test stacks: built once, kept in the cache.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.commands import output_of
from experiments.errors import HostError
from experiments.lab.bootstrap import DEBIAN_ADVICE, mmdebstrap_command, run_step
from experiments.lab.cached_build import CachedBuild
from experiments.lab.image import filling
from experiments.lab.mounts import bind
from experiments.machines.host_packages import TO_BUILD, ensure
from experiments.machines.local import cache_directory

if TYPE_CHECKING:
    from experiments.machines.local import LocalMachine

HERE = Path(__file__).parent / "images"
KIND = "test-images"
MARKER = "images.json"
ARCHIVE = "services.tar"
TREE = "tree.tar"
NEEDED_BYTES = 2 * 10**9
LIMIT_S = 600
PLACE_IN_LAB = Path("/srv/test-images")

BASE = "test-services:trixie"
BUILT = {"nginx": "nginx:stable", "redis": "redis:7-alpine", "postgres": "postgres:17"}

UNUSED = ("usr/lib/*/libLLVM*", "usr/lib/*/libz3*", "usr/lib/postgresql/*/lib/bitcode/*")
HOOKS = (
    *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in (*UNUSED, "usr/share/i18n/*")),
    # A cluster would be in every image.
    "--essential-hook=mkdir -p $1/etc/postgresql-common",
    "--essential-hook=echo create_main_cluster=false >$1/etc/postgresql-common/createcluster.conf",
)


def archive(machine: LocalMachine) -> Path:
    """
    The archive, from the cache if it is there; the caller holds the run lock.
    """
    command = mmdebstrap_command("", "", HERE / "packages.txt", HOOKS)
    files = [path.read_text() for path in sorted(HERE.iterdir())]
    parts = [*command, *BUILT.values(), *files]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    made = CachedBuild(cache_directory(), KIND, digest, NEEDED_BYTES, print)
    if (made.directory / MARKER).exists():
        return made.directory / ARCHIVE
    ensure(TO_BUILD)
    with made:
        tree = mmdebstrap_command(str(made.partial / TREE), "", HERE / "packages.txt", HOOKS)
        run_step(tree, "the test stacks' images", f"TMPDIR={made.scratch}", advice=DEBIAN_ADVICE)
        (made.partial / "store").mkdir()
        mounts = [bind(made.partial, str(PLACE_IN_LAB), writable=True)]
        if machine.enter(["python3", "-m", "tests.stacks.archive"], mounts):
            msg = "the test stacks' images cannot be made; see above"
            raise HostError(msg)
        (made.partial / TREE).unlink()
        shutil.rmtree(made.partial / "store")
        made.finish(MARKER, {})
    return made.directory / ARCHIVE


def save() -> None:
    """
    In the lab: import the tree, build the images on top of it, and save all.
    """
    with filling(PLACE_IN_LAB / "store") as daemon:
        docker = ["docker", "--host", daemon.socket]
        commands = [["import", "--change", 'CMD ["sh"]', str(PLACE_IN_LAB / TREE), BASE]]
        commands += [
            ["build", "--network", "none", "--target", target, "--tag", name, str(HERE)]
            for target, name in BUILT.items()
        ]
        commands += [["save", "--output", str(PLACE_IN_LAB / ARCHIVE), BASE, *BUILT.values()]]
        for command in commands:
            output_of([*docker, *command], limit_s=LIMIT_S, error=HostError)


if __name__ == "__main__":
    save()
