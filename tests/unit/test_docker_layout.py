"""
The image store: whatever Docker drew at random, or dated, is the same in the end.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from experiments.lab.docker_layout import make_reproducible, short_name

if TYPE_CHECKING:
    from pathlib import Path

LAYER = "ab" * 32


def store(path: Path, drawn: str, created: str) -> Path:
    """
    A store as dockerd leaves it, with this random name and this time in it.
    """
    layers, image = path / "overlay2", path / "image" / "overlay2"
    (layers / drawn / "diff" / "bin").mkdir(parents=True)
    (layers / drawn / "link").write_text(drawn[:26].upper())
    (layers / "l").mkdir()
    (layers / "l" / drawn[:26].upper()).symlink_to(f"../{drawn}/diff")
    (path / "engine-id").write_text(drawn)
    (path / "network" / "files").mkdir(parents=True)
    chain = image / "layerdb" / "sha256" / LAYER
    chain.mkdir(parents=True)
    (chain / "cache-id").write_text(drawn)
    (chain / "diff").write_text(f"sha256:{LAYER}")
    contents = image / "imagedb" / "content" / "sha256"
    contents.mkdir(parents=True)
    text = json.dumps({"created": created, "history": [{"created": created}], "os": "linux"})
    name = hashlib.sha256(text.encode()).hexdigest()
    (contents / name).write_text(text)
    metadata = image / "imagedb" / "metadata" / "sha256" / name
    metadata.mkdir(parents=True)
    (metadata / "lastUpdated").write_text(created)
    names = {"Repositories": {"b/u": {"b/u:latest": f"sha256:{name}"}}}
    (image / "repositories.json").write_text(json.dumps(names))
    return path


def everything(path: Path) -> dict[str, tuple[str, int]]:
    """
    Every path below with its bytes or target, and its time.
    """
    return {
        str(each.relative_to(path)): (
            str(each.readlink())
            if each.is_symlink()
            else each.read_text()
            if each.is_file()
            else "",
            each.lstat().st_mtime_ns if "diff/" not in str(each) else 0,
        )
        for each in sorted(path.rglob("*"))
    }


def test_two_imports_of_the_same_tree_leave_the_same_store(tmp_path: Path) -> None:
    """
    To the byte, with one layer that its link and its image still name.
    """
    first = store(tmp_path / "1", "1" * 64, "2026-01-01T00:00:00Z")
    second = store(tmp_path / "2", "2" * 64, "2026-02-02T22:22:22Z")
    layer = make_reproducible(first)
    assert make_reproducible(second) == layer == f"overlay2/{LAYER}/diff"
    assert everything(first) == everything(second)
    assert (first / layer / "bin").is_dir()
    (link,) = (first / "overlay2" / "l").iterdir()
    assert link.resolve() == (first / layer).resolve()
    assert (first / "overlay2" / LAYER / "link").read_text() == link.name


def test_the_image_is_still_named_by_the_digest_of_its_description(tmp_path: Path) -> None:
    """
    Or Docker would refuse it.
    """
    made = store(tmp_path / "1", "1" * 64, "2026-01-01T00:00:00Z")
    make_reproducible(made)
    (description,) = (made / "image/overlay2/imagedb/content/sha256").iterdir()
    assert description.name == hashlib.sha256(description.read_bytes()).hexdigest()
    assert f"sha256:{description.name}" in (made / "image/overlay2/repositories.json").read_text()


def test_a_layer_has_the_short_name_by_which_docker_mounts_it(tmp_path: Path) -> None:
    """
    The names of many layers fit into one option of a mount.
    """
    made = store(tmp_path, "a" * 64, "2025-01-01T00:00:00Z")
    layer = made / "overlay2" / ("a" * 64) / "diff"
    assert short_name(layer).resolve() == layer.resolve()
    assert len(short_name(layer).name) == 26
