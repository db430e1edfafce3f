"""
Archives of images: those of ``docker save``, OCI layouts, and images of the host's own Docker.

Nothing is unpacked here. Of an OCI layout, only the blobs that its manifest names are copied.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from experiments.commands import NOT_FOUND, run_command
from experiments.errors import HostError, UsageError
from experiments.lab.docker_layout import full_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from experiments.machines import Archive

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
LAYOUT = "oci-layout"
INDEX = "index.json"
MANIFEST = "manifest.json"
REFERENCES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""The annotations of an OCI index that name an image, the fuller one first."""

MOST_JSON_BYTES = 2**22
SAVE_TIMEOUT_S = 900
INSPECT_TIMEOUT_S = 30

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The names of the kernel's architectures in images."""


def architecture() -> str:
    """
    This machine's architecture, as images name it.
    """
    return ARCHITECTURES.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class SavedArchive:
    """
    What ``docker save`` wrote.
    """

    path: Path
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """
        By its file.
        """
        return f"archive {self.path.name}"

    def identity(self) -> str:
        """
        The digest of the file.
        """
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def place(self, scratch: Path) -> Path:
        """
        Where it is.
        """
        del scratch
        return self.path


@dataclass(frozen=True)
class OciLayout:
    """
    An OCI layout, as a folder or a tar archive of one; ``manifests`` maps images to digests.
    """

    path: Path
    manifests: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """
        The names that its index has.
        """
        return tuple(self.manifests)

    @property
    def source(self) -> str:
        """
        By its file or folder.
        """
        return f"OCI layout {self.path.name}"

    def identity(self) -> str:
        """
        The digests of its images, which name all of their content.
        """
        return json.dumps(dict(self.manifests), sort_keys=True)

    def place(self, scratch: Path) -> Path:
        """
        A copy of its blobs in an archive with the manifest of ``docker save``.
        """
        found = scratch / f"{self.path.name.removesuffix('.tar')}.tar"
        with opened(self.path) as files, tarfile.open(found, "w") as made:
            listed, blobs = [], []
            for name, digest in self.manifests.items():
                manifest = files.json(blob(digest))
                parts = [manifest["config"], *manifest["layers"]]
                config, *layers = (blob(each["digest"]) for each in parts)
                blobs += [config, *layers]
                listed.append({"Config": config, "RepoTags": [name], "Layers": layers})
            for each in dict.fromkeys(blobs):
                with files.read(each) as (file, size):
                    entry = tarfile.TarInfo(each)
                    entry.size = size
                    made.addfile(entry, file)
            content = json.dumps(listed).encode()
            entry = tarfile.TarInfo(MANIFEST)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
        return found


@dataclass(frozen=True)
class HostImage:
    """
    An image of the host's own Docker, which is only read.
    """

    names: tuple[str, ...]
    digest: str

    @property
    def source(self) -> str:
        """
        That it is the host's.
        """
        return "the host's Docker"

    def identity(self) -> str:
        """
        The digest of the image.
        """
        return self.digest

    def place(self, scratch: Path) -> Path:
        """
        What ``docker save`` writes.

        Raises HostError with Docker's words if it fails.
        """
        found = scratch / f"{self.digest.removeprefix('sha256:')}.tar"
        command = ["docker", "save", "--output", str(found), *self.names]
        ended = run_command(command, limit_s=SAVE_TIMEOUT_S)
        if not ended.ok:
            raise HostError(ended.failure())
        return found


def host_image(name: str) -> HostImage | None:
    """
    The image of this name of the host's own Docker; None if it does not have it.

    Raises UsageError if the host has no Docker, or if it does not answer.
    """
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", name]
    ended = run_command(command, limit_s=INSPECT_TIMEOUT_S)
    if ended.ok:
        return HostImage((name,), ended.text.strip())
    if ended.status == NOT_FOUND or "No such image" not in ended.last_words:
        msg = f"--images-from host: {ended.failure()}"
        raise UsageError(msg)
    return None


class Files:
    """
    The files of an OCI layout, in a folder or in a tar archive.
    """

    def __init__(self, path: Path, tar: tarfile.TarFile | None) -> None:
        """
        Nothing is read yet.
        """
        self._path = path
        self._tar = tar
        self._members = (
            {each.name.removeprefix("./"): each for each in tar if each.isreg()} if tar else {}
        )

    def __contains__(self, name: str) -> bool:
        """
        Whether there is a file of this name; a link is none.
        """
        if self._tar is not None:
            return name in self._members
        return (self._path / name).is_file() and not (self._path / name).is_symlink()

    @contextmanager
    def read(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """
        An open file and its size; raises KeyError if there is none.
        """
        if name not in self:
            raise KeyError(name)
        if self._tar is None:
            with (self._path / name).open("rb") as file:
                yield file, (self._path / name).stat().st_size
            return
        member = self._members[name]
        inner = self._tar.extractfile(member)
        if inner is None:
            raise KeyError(name)
        with inner:
            yield inner, member.size

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON holds anything
        """
        The content of a small file.
        """
        with self.read(name) as (file, _):
            return json.loads(file.read(MOST_JSON_BYTES))


@contextmanager
def opened(path: Path) -> Iterator[Files]:
    """
    The files of an archive or a folder.
    """
    if path.is_dir():
        yield Files(path, None)
    else:
        with tarfile.open(path) as tar:
            yield Files(path, tar)


def blob(digest: str) -> str:
    """
    The name of a blob; raises ValueError for a digest that is none.
    """
    kind, _, value = digest.partition(":")
    if not (kind.isalnum() and value.isalnum()):
        msg = f"{digest!r} is no digest"
        raise ValueError(msg)
    return f"blobs/{kind}/{value}"


def archives_in(folder: Path) -> list[Archive]:
    """
    The archives in a folder; none without the folder.

    Raises UsageError for what looks like an archive and is none.
    """
    if not folder.is_dir():
        return []
    found = sorted(folder.iterdir())
    return [
        read_archive(path)
        for path in found
        if path.name.endswith(SUFFIXES) or (path / LAYOUT).is_file()
    ]


def read_archive(path: Path) -> Archive:
    """
    An archive by its content.

    Raises UsageError for anything but an archive of ``docker save`` and an OCI layout.
    """
    try:
        with opened(path) as files:
            if MANIFEST in files:
                listed = files.json(MANIFEST)
                names = [name for each in listed for name in each.get("RepoTags") or []]
                return SavedArchive(path, tuple(map(full_name, names)))
            return OciLayout(path, dict(manifests_in(files, path)))
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError, AttributeError) as error:
        msg = f"{path} is neither an archive of `docker save` nor an OCI layout: {error!r}"
        raise UsageError(msg) from error


def manifests_in(files: Files, path: Path) -> Iterator[tuple[str, str]]:
    """
    The images of an OCI layout by their names, and the digests of their manifests.

    A name that is only a tag belongs to the name of the file or folder.
    """
    for entry in files.json(INDEX)["manifests"]:
        notes = entry.get("annotations") or {}
        reference = next((notes[each] for each in REFERENCES if notes.get(each)), "latest")
        if not set(reference) & set("/:"):
            stem = path.name
            for suffix in SUFFIXES:
                stem = stem.removesuffix(suffix)
            reference = f"{stem}:{reference}"
        yield full_name(reference), for_here(files, entry)


def for_here(files: Files, entry: Mapping[str, Any]) -> str:
    """
    The digest of a manifest; of an index, that of the manifest for this machine.

    Raises ValueError if there is none.
    """
    content = files.json(blob(entry["digest"]))
    if "manifests" not in content:
        return str(entry["digest"])
    for each in content["manifests"]:
        place = each.get("platform") or {}
        if place.get("os") == "linux" and place.get("architecture") == architecture():
            return for_here(files, each)
    msg = f"it has no image for linux/{architecture()}"
    raise ValueError(msg)
