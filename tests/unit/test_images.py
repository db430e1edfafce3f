"""
Images as their store has them, and the accounts in them.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from experiments.deployments.images import Account, account_of, group_of, read_image
from experiments.errors import ComposeError, HostError
from experiments.lab.beneath import open_in
from experiments.lab.docker_layout import full_name, stored_image

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = ["sha256:" + "1" * 64, "sha256:" + "2" * 64]


def store(path: Path, config: dict[str, Any]) -> Path:
    """
    An image store of dockerd's with one image of two layers.
    """
    image = path / "image" / "overlay2"
    text = json.dumps({"config": config, "rootfs": {"diff_ids": LAYERS}})
    digest = hashlib.sha256(text.encode()).hexdigest()
    contents = image / "imagedb/content/sha256"
    contents.mkdir(parents=True)
    (contents / digest).write_text(text)
    chain = LAYERS[0]
    for number, each in enumerate(LAYERS):
        if number:
            chain = "sha256:" + hashlib.sha256(f"{chain} {each}".encode()).hexdigest()
        place = image / "layerdb/sha256" / chain.removeprefix("sha256:")
        place.mkdir(parents=True)
        (place / "cache-id").write_text(f"layer-{number}")
        (path / "overlay2" / f"layer-{number}" / "diff").mkdir(parents=True)
    names = {"Repositories": {"web": {"web:1": f"sha256:{digest}"}}}
    (image / "repositories.json").write_text(json.dumps(names))
    return path


def test_an_image_has_its_layers_from_the_top_and_its_defaults(tmp_path: Path) -> None:
    """
    As Docker would give them to a container.
    """
    check = {"Test": ["CMD", "ok"], "Interval": 5 * 10**9, "Retries": 4}
    place = store(
        tmp_path,
        {
            "Entrypoint": ["/entry"],
            "Cmd": ["serve"],
            "Env": ["PATH=/bin", "EMPTY=", "A=b=c"],
            "User": "web",
            "WorkingDir": "/app",
            "Volumes": {"/data": {}},
            "Healthcheck": check,
        },
    )
    image = read_image(place, "docker.io/library/web:1")
    assert [layer.parent.name for layer in image.layers] == ["layer-1", "layer-0"]
    assert (image.entrypoint, image.command) == (("/entry",), ("serve",))
    assert image.environment == {"PATH": "/bin", "EMPTY": "", "A": "b=c"}
    assert (image.user, image.working_dir, image.volumes) == ("web", "/app", ("/data",))
    assert image.healthcheck is not None
    assert image.healthcheck["interval"] == "5000000000ns"
    with pytest.raises(HostError, match=r"no image 'web' among .* are: web:1"):
        stored_image(place, "web")


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "web:latest"),
        ("docker.io/library/web", "web:latest"),
        ("docker.io/me/web:2", "me/web:2"),
        ("registry.example:5000/web", "registry.example:5000/web:latest"),
        ("web@sha256:0", "web@sha256:0"),
    ],
)
def test_an_image_is_named_as_docker_keeps_it(name: str, full: str) -> None:
    """
    Without the prefixes of Docker Hub, with a tag.
    """
    assert full_name(name) == full


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, ...]:
    """
    Two layers, of which the lower one has accounts.
    """
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    (lower / "etc").mkdir(parents=True)
    upper.mkdir()
    (lower / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/sh\n# a comment\nbroken\n"
    )
    (lower / "etc/group").write_text("root:x:0:\nweb:x:34:\ncerts:x:50:other,web\n")
    return upper, lower


@pytest.mark.parametrize(
    ("user", "account"),
    [
        ("", Account(0, 0, (), "/root")),
        ("root", Account(0, 0, (), "/root")),
        ("web", Account(33, 34, (50,), "/srv/web")),
        ("33", Account(33, 34, (50,), "/srv/web")),
        ("web:certs", Account(33, 50, (), "/srv/web")),
        ("1000", Account(1000, 0, (), "/")),
        ("1000:1001", Account(1000, 1001, (), "/")),
    ],
)
def test_a_user_is_looked_up_in_the_image(
    layers: tuple[Path, ...], user: str, account: Account
) -> None:
    """
    By name or number, with further groups unless a group is named, as Docker does.
    """
    assert account_of(layers, user) == account


def test_a_group_is_looked_up_in_the_image(layers: tuple[Path, ...]) -> None:
    """
    Whoever gets it.
    """
    assert [group_of(layers, each) for each in ("certs", "50", "7")] == [50, 50, 7]
    with pytest.raises(ComposeError, match="the image has no group 'nobody'"):
        group_of(layers, "nobody")


def test_a_user_that_the_image_does_not_have_is_refused(layers: tuple[Path, ...]) -> None:
    """
    Also where its accounts are a link out of it, or a pipe on which reading would wait.
    """
    with pytest.raises(ComposeError, match="the image has no user 'nobody'; name another one"):
        account_of(layers, "nobody")
    with pytest.raises(ComposeError, match="the image has no group 'nobody'"):
        account_of(layers, "web:nobody")
    (layers[0] / "etc").mkdir()
    (layers[0] / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ComposeError, match="no user 'daemon'"):
        account_of(layers, "daemon")
    (layers[0] / "etc/passwd").unlink()
    os.mkfifo(layers[0] / "etc/passwd")
    with pytest.raises(ComposeError, match="no user 'web'"):
        account_of(layers, "web")


def test_a_folder_is_opened_as_with_another_root(tmp_path: Path) -> None:
    """
    Links stay below it, be they absolute or upwards.
    """
    root = tmp_path / "root"
    (root / "srv/data").mkdir(parents=True)
    (root / "absolute").symlink_to("/srv/data")
    (root / "upwards").symlink_to("../../../../srv/data")
    for name in ("/srv/data", "absolute", "upwards"):
        handle = open_in(root, name)
        assert os.fstat(handle).st_ino == (root / "srv/data").stat().st_ino
        os.close(handle)
    (root / "outside").symlink_to(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        open_in(root, "outside")
