"""
Docker's image store made reproducible: what Docker draws at random or dates gets fixed values.

The store holds one image of one layer. Its layer's folder has a random name, its link another, and
its description holds the time of the import; everything else follows from the image's contents.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from experiments.lab.bootstrap import EPOCH_S, walk

if TYPE_CHECKING:
    from pathlib import Path

LINK_LENGTH = 26
"""Characters of the short name by which overlay2 mounts a layer."""

KEPT = frozenset({"image", "overlay2"})


def settle(store: Path) -> str:
    """
    Give the store's one image fixed names and times; its layer's directory, below the store.

    Raises OSError or ValueError when it is not a store of one image of one layer.
    """
    for path in store.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    layer = _settle_layer(store)
    _settle_image(store / "image" / "overlay2")
    for path in [*walk(store / "image"), *(store / "overlay2").iterdir(), *store.iterdir(), store]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    for path in [*(store / "overlay2").glob("*/*"), store / layer]:
        os.utime(path, (EPOCH_S, EPOCH_S), follow_symlinks=False)
    return layer


def _settle_layer(store: Path) -> str:
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


def _settle_image(image: Path) -> None:
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
