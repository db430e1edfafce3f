"""
The VM's box: a Debian 13 disk for libvirt with a kernel, SSH and the project's userland.

It is built from Debian packages, without loop devices: mmdebstrap builds the tree, the tree's
mke2fs and grub-mkimage make a disk of it, qemu-img compresses the disk, and a tar file of it is a
Vagrant box. It is cached under the digest of its inputs, like the userland.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
import shutil
import struct
import tarfile
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import HostError
from experiments.lab import userland
from experiments.lab.bootstrap import (
    DEBIAN_ADVICE,
    EPOCH_S,
    SUITE,
    clamp_times,
    installed_packages,
    mmdebstrap_command,
    run_step,
)
from experiments.lab.cached_build import CachedBuild, read_marker
from experiments.machines.libvirt import IMAGE_IN_BOX
from experiments.machines.settings import VM

if TYPE_CHECKING:
    from collections.abc import Callable

    from experiments.lab.userland import Userland

HERE = Path(__file__).parent
PACKAGES_FILE = HERE / "box-packages.txt"
SETUP_FILE = HERE / "box-setup.sh"
KEY_FILE = HERE / "vagrant-insecure.pub"

FORMAT = 1
"""Increase this if the module makes another disk from the same inputs."""

KERNEL_PARAMETERS = "root=/dev/vda1 ro net.ifnames=0 console=ttyS0 tsc=reliable quiet"
"""
``tsc=reliable``: emulated time stamp counters look unsynchronised, and Linux would fall back to a
slow clock. With KVM, Linux prefers KVM's clock anyway.
"""

USERLANDS_IN_VM = "/var/cache/bridgetoll/userland"
CACHE_IN_VM = "/var/cache/bridgetoll"

STRICT = ("bash", "-euo", "pipefail", "-c")
"""A shell in which a pipeline fails if any of its commands does: half an archive makes no disk."""

NEEDED_BYTES = 6 * 10**9
"""Free disk space for a build: the tree, the disk before and after compression, and the box."""

SECTOR_BYTES = 512
PARTITION_START_BYTES = 2**20
LINUX_PARTITION = 0x83

KIND = "box"
WHAT = f"the {KIND}"
MARKER = "box.json"
BOX_FILE = "bridgetoll.box"
CATALOG_FILE = "catalog.json"
KERNEL_FILE = "vmlinuz"


@dataclass(frozen=True)
class BuiltBox:
    """
    A complete box in the cache.

    ``version`` is the ``digest`` of all inputs in the form that Vagrant needs; ``sha256`` and
    ``size_bytes`` are those of the box file; ``packages`` maps Debian packages to versions.
    """

    digest: str
    version: str
    sha256: str
    size_bytes: int
    mirror: str
    kernel: str
    userland_digest: str
    userland_content_sha256: str
    packages: dict[str, str]
    directory: Path

    @property
    def file(self) -> Path:
        """
        The box file.
        """
        return self.directory / BOX_FILE

    @property
    def catalog(self) -> Path:
        """
        The catalogue for ``vagrant box add``, with the box, its version and its checksum.
        """
        return self.directory / CATALOG_FILE


def digest_of(mirror: str) -> str:
    """
    The digest of all inputs of a box from this mirror, as 16 hex digits.
    """
    parts = {
        "format": FORMAT,
        "bootstrap": bootstrap_command("", mirror),
        "setup": SETUP_FILE.read_text(),
        "key": KEY_FILE.read_text(),
        "userland": userland.digest_of(mirror),
        "disk_gib": VM.disk_gib,
        "kernel_parameters": KERNEL_PARAMETERS,
        "machine": platform.machine(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def version_of(digest: str) -> str:
    """
    The version of a box with this digest, as the numbers that Vagrant compares.
    """
    return f"13.{FORMAT}.{int(digest[:12], 16)}"


def bootstrap_command(root: str, mirror: str) -> list[str]:
    """
    The mmdebstrap command that builds the box's tree at ``root``.
    """
    setup = f'--customize-hook="{SETUP_FILE if root else ""}" "$1" "{KEY_FILE if root else ""}"'
    return mmdebstrap_command(root, mirror, PACKAGES_FILE, [setup])


def find(cache: Path, mirror: str = "") -> BuiltBox | None:
    """
    The box of this checkout, if it is in the cache; else None.
    """
    directory = cache / KIND / digest_of(mirror)
    return read_marker(BuiltBox, directory, MARKER)


def build(
    cache: Path, contents: Userland, mirror: str = "", say: Callable[[str], None] = print
) -> BuiltBox:
    """
    Build the box with this userland in it into the cache; takes about a minute.

    The caller holds the run lock. Raises HostError for too little disk space or another
    architecture, which are looked at first, or a step that fails, with its last lines.
    """
    if platform.machine() != "x86_64":
        msg = (
            f"the box is built for x86_64 only, and this is {platform.machine()}; "
            "use --machine local, or the public box (see docs/machine.md)"
        )
        raise HostError(msg)
    digest = digest_of(mirror)
    with CachedBuild(cache, KIND, digest, NEEDED_BYTES, say) as made:
        work, root = made.partial / "work", made.partial / "work" / "root"
        work.mkdir()
        started = time.time()
        made.step(
            f"installing Debian {SUITE} with a kernel (about 20 s)",
            lambda: run_step(
                bootstrap_command(str(root), mirror),
                WHAT,
                f"TMPDIR={made.scratch}",
                advice=DEBIAN_ADVICE,
            ),
        )
        (root / place_of(contents).lstrip("/")).mkdir(parents=True)
        clamp_times(root, started)
        kernel = _kernel_of(root)
        shutil.copyfile(root / "boot" / f"vmlinuz-{kernel}", made.partial / KERNEL_FILE)
        made.step("making the disk (about 15 s)", lambda: make_disk(work, root, contents, kernel))
        made.step("compressing it (about 15 s)", lambda: compress(work))
        file = made.partial / BOX_FILE
        pack(work / IMAGE_IN_BOX, file)
        whole = BuiltBox(
            digest=digest,
            version=version_of(digest),
            sha256=sha256_of(file),
            size_bytes=file.stat().st_size,
            mirror=mirror,
            kernel=kernel,
            userland_digest=contents.digest,
            userland_content_sha256=contents.content_sha256,
            packages=installed_packages(root),
            directory=made.directory,
        )
        shutil.rmtree(work)
        (made.partial / CATALOG_FILE).write_text(json.dumps(catalog(whole), indent=1) + "\n")
        made.finish(
            MARKER, {key: each for key, each in asdict(whole).items() if key != "directory"}
        )
    return whole


def sha256_of(path: Path) -> str:
    """
    The SHA-256 of a file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_of(contents: Userland) -> str:
    """
    The directory of a userland in the VM.
    """
    return f"{USERLANDS_IN_VM}/{contents.digest}"


def _kernel_of(root: Path) -> str:
    """
    The release of the one kernel in the tree.
    """
    (image,) = (root / "boot").glob("vmlinuz-*")
    return image.name.removeprefix("vmlinuz-")


def make_disk(work: Path, root: Path, contents: Userland, kernel: str) -> None:
    """
    Make ``work/disk.img``: a boot sector, GRUB with its configuration, and one ext4 partition.

    The tree's tools make the file system from the tree and the userland, which are bind-mounted at
    their places, so that nothing is copied.
    """
    inside = place_of(contents)
    (work / "grub.cfg").write_text(
        f"set root=(hd0,msdos1)\n"
        f"linux /boot/vmlinuz-{kernel} {KERNEL_PARAMETERS}\n"
        f"initrd /boot/initrd.img-{kernel}\n"
        "boot\n"
    )
    identity = uuid.uuid5(uuid.NAMESPACE_URL, contents.digest)
    disk_bytes = VM.disk_gib * 2**30
    blocks = (disk_bytes - PARTITION_START_BYTES) // 4096
    features = f"hash_seed={identity},offset={PARTITION_START_BYTES},root_owner=0:0"
    modules = "biosdisk part_msdos ext2 linux"
    # From an archive, in which files are sorted and have no access times.
    archive = (
        "tar --directory=/mnt --create --sort=name --numeric-owner --xattrs --xattrs-include='*' "
        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime ."
    )
    make = f"mke2fs -q -F -t ext4 -b 4096 -m 0 -U {identity} -E {features} -d - /media/disk.img"
    in_tree = f"""
        grub-mkimage -O i386-pc -o /media/core.img -p / -c /media/grub.cfg {modules}
        cp /usr/lib/grub/i386-pc/boot.img /media/boot.img
        {archive} | {make} {blocks}
    """
    script = f"""
        mount --bind {shlex.quote(str(root))} {shlex.quote(f"{root}/mnt")}
        mount --bind {shlex.quote(str(contents.directory))} {shlex.quote(f"{root}/mnt{inside}")}
        mount --bind {shlex.quote(str(work))} {shlex.quote(f"{root}/media")}
        # Not SOURCE_DATE_EPOCH, which would date back every later file, and Python compiles a
        # module again, each time, when its source is not as old as its bytecode says.
        unset SOURCE_DATE_EPOCH
        export E2FSPROGS_FAKE_TIME={EPOCH_S}
        exec chroot {shlex.quote(str(root))} {shlex.join(STRICT)} {shlex.quote(in_tree)}
    """
    disk = work / "disk.img"
    with disk.open("wb") as file:
        file.truncate(disk_bytes)
    run_step(["sh", "-euc", script], WHAT)
    with disk.open("r+b") as file:
        file.write(boot_sector((work / "boot.img").read_bytes(), disk_bytes))
        file.write((work / "core.img").read_bytes())
        if file.tell() > PARTITION_START_BYTES:
            msg = f"GRUB takes {file.tell()} bytes, and there is 1 MiB before the partition"
            raise HostError(msg)


def boot_sector(boot_code: bytes, disk_bytes: int) -> bytes:
    """
    GRUB's boot sector with a partition table: one bootable Linux partition from 1 MiB on.

    GRUB's code expects the rest of GRUB in the following sectors, before the partition.
    """
    first = PARTITION_START_BYTES // SECTOR_BYTES
    # CHS addresses that mean "beyond CHS"; only the sector numbers are used.
    beyond = b"\xfe\xff\xff"
    entry = struct.pack(
        "<B3sB3sII",
        *(0x80, beyond, LINUX_PARTITION, beyond),
        *(first, disk_bytes // SECTOR_BYTES - first),
    )
    return boot_code[:446] + entry + bytes(48) + b"\x55\xaa"


def compress(work: Path) -> None:
    """
    Make ``work/box.img``, a compressed qcow2, from ``work/disk.img``, which is removed.
    """
    disk = work / "disk.img"
    command = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2"]
    command += ["-o", "compression_type=zstd", str(disk), str(work / IMAGE_IN_BOX)]
    run_step(command, WHAT)
    disk.unlink()


def pack(image: Path, box: Path) -> None:
    """
    Make the tar file that is a Vagrant box.
    """
    metadata = {"provider": "libvirt", "format": "qcow2", "virtual_size": VM.disk_gib}
    described = image.parent / "metadata.json"
    described.write_text(json.dumps(metadata))

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.mode = EPOCH_S, 0o644
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info

    # Not compressed, because the image is.
    with tarfile.open(box, "w") as archive:
        archive.add(described, "metadata.json", filter=anonymous)
        archive.add(image, IMAGE_IN_BOX, filter=anonymous)


def catalog(box: BuiltBox) -> dict[str, Any]:
    """
    The box catalogue in Vagrant's format, with one version and its checksum.
    """
    provider = {
        "name": "libvirt",
        "url": f"file://{box.file}",
        "checksum_type": "sha256",
        "checksum": box.sha256,
    }
    return {
        "name": VM.box,
        "description": f"Debian 13 with Bridgetoll's userland {box.userland_digest}",
        "versions": [{"version": box.version, "providers": [provider]}],
    }
