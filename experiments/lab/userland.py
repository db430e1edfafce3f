"""
The userland: one Debian root file system for all variants, built once and cached.

Its name in the cache is the digest of all inputs. There is one copy of its files: the layer of the
Docker image, which is also the root of raw namespaces.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import HostError
from experiments.lab.bootstrap import (
    BUILD_TIMEOUT_S,
    DEBIAN_ADVICE,
    EPOCH_S,
    SUITE,
    clamp_times,
    installed_packages,
    mmdebstrap_command,
    run_step,
    walk,
)
from experiments.lab.cached_build import PARTIAL, CachedBuild, read_marker
from experiments.lab.docker_layout import make_reproducible
from experiments.lab.lab import Lab
from experiments.lab.mounts import bind
from experiments.paths import PROJECT, PROJECT_IN_LAB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
PACKAGES_FILE = HERE / "userland-packages.txt"
SETUP_FILE = HERE / "userland-setup.sh"
WHEELS_LOCK = PROJECT / "requirements" / "userland.txt"

PYTHON_VERSION = "3.13"
"""The version of the suite's Python interpreter, which determines the wheels."""

WHEEL_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")

PIP_ADVICE = "If a download failed, see whether pip reaches its index (a proxy, PIP_INDEX_URL)"

FORMAT = 2
"""
Increase this if the module builds something else from the same inputs.
"""

NEEDED_BYTES = 5 * 10**9
"""Free disk space for a build: the tree twice while the image is made, and Debian's archives."""

KIND = "userland"
WHAT = f"the {KIND}"
MARKER = "userland.json"


@dataclass(frozen=True)
class Userland:
    """
    A complete userland in the cache.

    ``packages`` and ``wheels`` map names to versions; ``content_sha256`` covers every path with its
    mode, owner and bytes. Nothing depends on the time or place of the build.
    """

    digest: str
    content_sha256: str
    mirror: str
    packages: dict[str, str]
    wheels: dict[str, str]
    layer: str
    directory: Path

    @property
    def root(self) -> Path:
        """
        The root directory.
        """
        return self.image_store / self.layer

    @property
    def image_store(self) -> Path:
        """
        A Docker data root with the image and nothing else.
        """
        return self.directory / "store"


def digest_of(mirror: str) -> str:
    """
    The digest of all inputs of a userland from this mirror, as 16 hex digits.
    """
    parts = {
        "format": FORMAT,
        "bootstrap": bootstrap_command("", mirror, ""),
        "setup": SETUP_FILE.read_text(),
        "lock": WHEELS_LOCK.read_text(),
        "machine": platform.machine(),
        "epoch": EPOCH_S,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def bootstrap_command(root: str, mirror: str, wheels: str) -> list[str]:
    """
    The mmdebstrap command that builds the tree at ``root``.
    """
    # A cluster created at installation would contain a random identifier, and nothing uses it.
    no_cluster = (
        'mkdir -p "$1/etc/postgresql-common" && '
        'echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"'
    )
    setup = f'{SETUP_FILE.name} "$1" "{wheels}" "{WHEELS_LOCK.name}"'
    if root:
        program, source, lock = (shlex.quote(str(p)) for p in (SETUP_FILE, wheels, WHEELS_LOCK))
        setup = f'{program} "$1" {source} {lock}'
    hooks = [f"--essential-hook={no_cluster}", f"--customize-hook={setup}"]
    return mmdebstrap_command(root, mirror, PACKAGES_FILE, hooks)


def find(cache: Path, mirror: str = "") -> Userland | None:
    """
    The userland of this checkout, if it is in the cache; else None.
    """
    directory = cache / KIND / digest_of(mirror)
    return read_marker(Userland, directory, MARKER)


def build(
    cache: Path,
    mirror: str = "",
    say: Callable[[str], None] = print,
    kept_open: Sequence[int] = (),
) -> Userland:
    """
    Build the userland and its Docker image into the cache, in about a minute and a half.

    The caller holds the run lock, whose file descriptors are ``kept_open``: a build that is killed
    holds it until nothing of it runs. Raises HostError if there is too little disk space, which is
    checked first, or if a step fails.
    """
    digest = digest_of(mirror)
    with CachedBuild(cache, KIND, digest, NEEDED_BYTES, say) as made:
        root, store = made.partial / "root", made.partial / "store"
        store.mkdir()
        wheels = cache / "wheels" / hashlib.sha256(WHEELS_LOCK.read_bytes()).hexdigest()[:16]
        made.step("fetching the locked wheels", lambda: fetch_wheels(wheels))
        started = time.time()
        made.step(
            f"installing Debian {SUITE} and the wheels into it (about 50 s)",
            lambda: run_step(
                bootstrap_command(str(root), mirror, str(wheels)),
                WHAT,
                f"TMPDIR={made.scratch}",
                advice=DEBIAN_ADVICE,
            ),
        )
        clamp_times(root, started)
        content = made.step("taking its digest", lambda: tree_digest(root))
        made.step(
            "making the Docker image (about 25 s)",
            lambda: make_image(root, store, cache, kept_open),
        )
        packages, wheel_versions = installed(root)
        shutil.rmtree(root)
        whole = Userland(
            digest=digest,
            content_sha256=content,
            mirror=mirror,
            packages=packages,
            wheels=wheel_versions,
            layer=make_reproducible(store),
            directory=made.directory,
        )
        made.finish(
            MARKER, {key: each for key, each in asdict(whole).items() if key != "directory"}
        )
    return whole


def fetch_wheels(wheels: Path) -> None:
    """
    Download the locked wheels for the userland's interpreter, with verified hashes.
    """
    if wheels.exists():
        return
    partial = wheels.with_suffix(PARTIAL)
    scratch = partial / "scratch"
    scratch.mkdir(parents=True)
    machine = platform.machine()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
    # The lock is complete, and pip would use the markers of its own interpreter.
    command += ["--no-deps", "--only-binary=:all:", f"--python-version={PYTHON_VERSION}"]
    command += [f"--platform={name}_{machine}" for name in WHEEL_PLATFORMS]
    command += [f"--dest={partial}", f"--requirement={WHEELS_LOCK}"]
    # What pip leaves when it is killed goes with the rest of an incomplete build.
    run_step(command, WHAT, f"TMPDIR={scratch}", advice=PIP_ADVICE)
    shutil.rmtree(scratch)
    partial.rename(wheels)


def make_image(root: Path, store: Path, cache: Path, kept_open: Sequence[int]) -> None:
    """
    Import the tree as a Docker image, by a private dockerd that runs in this tree.
    """
    with Lab(
        root=root,
        state=cache / "labs",
        command=["python3", "-m", "experiments.lab.image"],
        mounts=[
            bind(PROJECT, PROJECT_IN_LAB),
            bind(root, "/userland"),
            bind(store, "/store", writable=True),
        ],
        environment={"PYTHONPATH": PROJECT_IN_LAB, "PYTHONDONTWRITEBYTECODE": "1"},
        kept_open=kept_open,
    ) as lab:
        try:
            status = lab.wait(BUILD_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            msg = f"making the Docker image did not end within {BUILD_TIMEOUT_S} s; try again"
            raise HostError(msg) from error
    if status:
        msg = f"making the Docker image failed with status {status}; see the messages above"
        raise HostError(msg)


def tree_digest(root: Path) -> str:
    """
    SHA-256 over every path below ``root`` with its mode, owner, link target and bytes.
    """
    digest = hashlib.sha256()
    for path in walk(root):
        status = path.lstat()
        name = path.relative_to(root)
        digest.update(f"{name}\0{status.st_mode:o} {status.st_uid} {status.st_gid}\0".encode())
        if stat.S_ISLNK(status.st_mode):
            digest.update(os.fsencode(path.readlink()))
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def installed(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """
    The Debian packages and the Python distributions in the tree, with their versions.
    """
    wheels = {}
    for metadata in root.glob("usr/local/lib/python3*/dist-packages/*.dist-info"):
        name, _, version = metadata.name.removesuffix(".dist-info").partition("-")
        wheels[name] = version
    return installed_packages(root), dict(sorted(wheels.items()))
