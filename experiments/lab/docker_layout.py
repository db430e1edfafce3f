"""
Docker's private directory layout: this module is the only one that knows it.

Docker documents none of it. The project relies on three parts:

* The image store. With the storage driver overlay2, ``overlay2/<layer>/diff`` holds the files of a
  layer, and ``image/overlay2/`` describes images and layers. The userland is such a layer. A
  private daemon gets it by a bind mount, so that starting the daemon copies nothing.
* The names and times in the store, which Docker draws at random or takes from the clock. They are
  replaced, so that two builds of the userland are equal.
* The bundle of a running container, in which containerd keeps its OCI specification.

Docker 29 stores images in containerd by default on a fresh installation. There the layers are
snapshots of containerd's overlayfs snapshotter, numbered in a database, and the image is a set of
blobs named by digest; there is no ``overlay2`` or ``image`` folder. The lab's daemon is started
with ``--storage-driver overlay2``, and Docker 29 still has this driver. When it goes,
``stored_image``, ``contents`` and ``descriptions`` must find the snapshots and copy containerd's
database, and ``make_reproducible`` must settle the times in that database instead. The bundle stays
where it is, because containerd already starts the containers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from experiments.errors import HostError
from experiments.lab.bootstrap import EPOCH_S, walk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STORAGE_DRIVER = "overlay2"

BUNDLES = "run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby"
"""Where dockerd's containerd keeps the bundle of each container that runs, by its id."""

LINK_LENGTH = 26
"""Characters of the short name by which overlay2 mounts a layer."""

KEPT = frozenset({"image", "overlay2"})


@dataclass(frozen=True)
class StoredImage:
    """
    An image in a store.

    ``digest`` is its name in the store, ``configuration`` is its OCI image configuration, and
    ``layers`` are the directories with its files, the uppermost first.
    """

    digest: str
    configuration: Mapping[str, Any]
    layers: tuple[Path, ...]


def stored_image(store: Path, name: str) -> StoredImage:
    """
    The image of this name in a store.

    Raises HostError, with the names that there are, if the store does not have it.
    """
    names = image_names(store)
    digest = names.get(full_name(name))
    if digest is None:
        known = ", ".join(sorted(names)) or "none"
        msg = f"there is no image {name!r} among the images of this run, which are: {known}"
        raise HostError(msg)
    described = store / "image/overlay2/imagedb/content/sha256" / digest.removeprefix("sha256:")
    configuration = json.loads(described.read_text())
    chain, layers = "", []
    for each in configuration["rootfs"]["diff_ids"]:
        # The name of a layer on top of others; see "Layer ChainID" in the OCI image specification.
        chain = hashlib.sha256(f"{chain} {each}".encode()).hexdigest() if chain else each
        chain = chain if chain.startswith("sha256:") else f"sha256:{chain}"
        place = store / "image/overlay2/layerdb/sha256" / chain.removeprefix("sha256:")
        layers.append(store / "overlay2" / (place / "cache-id").read_text() / "diff")
    return StoredImage(digest, configuration, tuple(reversed(layers)))


def short_name(layer: Path) -> Path:
    """
    The link to a layer by which overlay2 mounts it: a list of them must fit into a page.
    """
    return layer.parent.parent / "l" / (layer.parent / "link").read_text()


def image_names(store: Path) -> dict[str, str]:
    """
    The digest of every image in a store by its names.
    """
    file = store / "image/overlay2/repositories.json"
    if not file.exists():
        return {}
    found = json.loads(file.read_text())["Repositories"].values()
    return {name: digest for names in found for name, digest in names.items()}


def full_name(name: str) -> str:
    """
    The name of an image as Docker keeps it: without Docker Hub's prefixes, and with a tag.
    """
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(prefix)
    if "@" in name:
        return name
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def contents(store: Path) -> list[Path]:
    """
    The directories with the files of all layers, which a daemon only reads.
    """
    return sorted(store.glob("overlay2/*/diff"))


def descriptions(store: Path) -> list[Path]:
    """
    The small files and folders that describe images and layers, which a daemon also writes.
    """
    files = sorted(path for path in store.glob("overlay2/*/*") if path.is_file())
    return [store / "image", store / "overlay2" / "l", *files]


def bundle(daemon_root: Path, container: str) -> Path:
    """
    The OCI bundle of a running container, below the daemon's root directory.
    """
    return daemon_root / BUNDLES / container


def make_reproducible(store: Path) -> str:
    """
    Give the store's one image fixed names and times; the layer's directory, relative to the store.

    Raises OSError or ValueError when it is not a store of one image of one layer.
    """
    for path in store.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    made = _fix_layer(store)
    _fix_image(store / "image" / "overlay2")
    for path in [*walk(store / "image"), *(store / "overlay2").iterdir(), *store.iterdir(), store]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    for path in [*(store / "overlay2").glob("*/*"), store / made]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    return made


def _fix_layer(store: Path) -> str:
    (chain,) = (store / "image/overlay2/layerdb/sha256").iterdir()
    identity = chain.name
    link = base64.b32encode(bytes.fromhex(identity)).decode()[:LINK_LENGTH]
    layers = store / "overlay2"
    (layers / (chain / "cache-id").read_text()).rename(layers / identity)
    (chain / "cache-id").write_text(identity)
    (layers / identity / "link").write_text(link)
    (old,) = (layers / "l").iterdir()
    old.unlink()
    (layers / "l" / link).symlink_to(f"../{identity}/diff")
    return f"overlay2/{identity}/diff"


def _fix_image(image: Path) -> None:
    (description,) = (image / "imagedb/content/sha256").iterdir()
    content = json.loads(description.read_text())
    created = datetime.fromtimestamp(EPOCH_S, UTC).isoformat().replace("+00:00", "Z")
    content["created"] = created
    for step in content.get("history", []):
        step["created"] = created
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    # An image is named by the digest of its description.
    name = hashlib.sha256(text.encode()).hexdigest()
    description.unlink()
    (description.parent / name).write_text(text)
    shutil.rmtree(image / "imagedb/metadata", ignore_errors=True)
    names = image / "repositories.json"
    names.write_text(names.read_text().replace(description.name, name))
