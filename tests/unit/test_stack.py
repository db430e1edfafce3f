"""
A user's stack before a run: its options, its workload, its overrides, its images.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from experiments.declare.stack import Stack, StackImage, same_stack, stack_of, workload_of
from experiments.errors import UsageError
from experiments.host.archives import OciLayout, SavedArchive, architecture, archives_in
from experiments.host.stack import entry_of, sources
from experiments.load.open_client import request_of
from experiments.machines.stack_store import digest_of, hidden
from experiments.plan.draft import draft_manifest
from experiments.plan.options import given_options, measure_parser
from experiments.plan.overrides import addresses, overrides, subnets
from experiments.plan.requests import REQUESTS_FILE, workloads_of
from experiments.plan.resumed import contradictions

if TYPE_CHECKING:
    from pathlib import Path

    from experiments.declare.workloads import Workload

URL = "http://web:8000/api/items?all=1"

CONFIG: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "image": "web",
            "networks": {"default": None, "back": {"aliases": ["www"]}},
            "ports": [{"target": 8000, "published": "80", "protocol": "tcp"}],
            "healthcheck": {"test": ["CMD", "ok"], "interval": "5s"},
        },
        "db": {"image": "db", "networks": {"back": {"ipv4_address": "198.18.9.9"}}},
        "worker": {"image": "web", "networks": {"back": None}, "scale": 3},
    },
    "networks": {"default": {}, "back": {"ipam": {"config": [{"subnet": "198.18.9.0/24"}]}}},
}


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    """
    A Compose file of the user's.
    """
    file = tmp_path / "shop" / "compose.yaml"
    file.parent.mkdir()
    file.write_text("services: {}")
    return file


def test_a_stack_has_variants_of_its_own(compose: Path) -> None:
    """
    Named like those of the project's own stack.
    """
    options = measure_parser().parse_args(["--stack", str(compose), "--url", URL])
    plan = draft_manifest(options, None)
    assert {"netns", "docker", "docker-as-given"} <= {each.name for each in plan.variants}
    assert plan.stack is not None
    assert (plan.stack.name, plan.stack.files, plan.variants_file) == (
        "shop",
        ("compose.yaml",),
        "",
    )
    assert (plan.workload.entry_service, plan.workload.entry_port) == ("web", 8000)
    assert plan.workload.path == "/api/items?all=1"


def test_a_folder_stands_for_its_compose_file(compose: Path) -> None:
    """
    By the names that Compose knows.
    """
    assert stack_of(compose.parent).files == ("compose.yaml",)
    compose.unlink()
    with pytest.raises(UsageError, match=r"the folder has none of compose\.yaml"):
        stack_of(compose.parent)
    with pytest.raises(UsageError, match=r"--stack .*compose\.yaml: there is no such file"):
        stack_of(compose)


def test_a_stack_and_a_url_go_together(compose: Path) -> None:
    """
    One says what to deploy, the other what to load.
    """
    with pytest.raises(UsageError, match=r"say what to load, as --url .*, or in bridgetoll\.toml"):
        draft_manifest(measure_parser().parse_args(["--stack", str(compose)]), None)
    with pytest.raises(UsageError, match="--url names a service of a --stack"):
        draft_manifest(measure_parser().parse_args(["--url", URL]), None)


ITEMS = """
[[requests]]
url = "http://web:8000/api/items"
json = {name = "x"}
headers = {X-Shop = "1"}
expect = {status = 201, json = {name = "x"}, length_varies = true}

[[requests]]
url = "http://web:8000/health"
expect = {body = "fine"}
"""


def test_requests_are_read_from_the_file_beside_the_stack(compose: Path) -> None:
    """
    All of them, or those of the URLs that are given; another URL is a plain GET.
    """
    (compose.parent / REQUESTS_FILE).write_text(ITEMS)

    def found(*urls: str) -> list[Workload]:
        given = ["--stack", str(compose), *(word for url in urls for word in ("--url", url))]
        return workloads_of(measure_parser().parse_args(given))

    items, health = found()
    assert (items.verb, items.content, items.content_type) == (
        "POST",
        b'{"name": "x"}',
        "application/json",
    )
    assert request_of("198.18.0.9:8000", items).split(b"\r\n") == [
        b"POST /api/items HTTP/1.0",
        b"Content-length: 13",
        b"Content-type: application/json",
        b"X-Shop: 1",
        b"Host: 198.18.0.9:8000",
        b"User-Agent: ApacheBench/2.3",
        b"Accept: */*",
        b"",
        b'{"name": "x"}',
    ]
    assert items.fault_in(201, b'{"name": "x", "id": 7}') == ""
    assert health.fault_in(200, b"fine") == ""
    assert "but should be fine" in health.fault_in(200, b"ill!")
    assert found("http://web:8000/health") == [health]
    (other,) = found(URL)
    assert (other.verb, other.fault_in(200, b"")) == ("GET", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[requests]]", r"requests\[0\]|missing required field `url`"),
        ("requests = 1", r"Expected `array`, got `int` - at `\$\.requests`"),
        ('[[requests]]\nurl = "http://a/"\nx = 1', r"unknown field `x` - at `\$\.requests\[0\]`"),
        ('[[requests]]\nurl = "http://a/"\nmethod = "HEAD"', "method is 'HEAD'; ab has GET"),
        ('[[requests]]\nurl = "http://a/"\nmethod = "PATCH"\nbody = "x"', "ab sends a body with"),
        ('[[requests]]\nurl = "http://a/"\nbody = "x"\njson = 1', "body and json are given"),
        ('[[requests]]\nurl = "http://a/"\nexpect = {status = 7}', r"expect\.status is 7"),
        ('[[requests]]\nurl = "http://a/"\nheaders = {A = "\\n"}', r"headers\.A is '\\n'"),
        ("[[requests", r"bridgetoll\.toml: "),
    ],
)
def test_a_request_at_fault_is_refused_by_its_key(compose: Path, text: str, words: str) -> None:
    """
    With its value, and what is possible.
    """
    (compose.parent / REQUESTS_FILE).write_text(text)
    with pytest.raises(UsageError, match=words):
        workloads_of(measure_parser().parse_args(["--stack", str(compose)]))


def test_a_stack_beside_resume_is_that_of_the_plan(compose: Path) -> None:
    """
    And so is the URL.
    """
    given = ["--stack", str(compose), "--url", URL]
    plan = draft_manifest(measure_parser().parse_args(given), None)
    assert list(contradictions(given_options(given), plan)) == []
    (found,) = contradictions(given_options(["--url", "http://web/"]), plan)
    assert found == f"--url http://web/, where the run has {URL}"


@pytest.mark.parametrize(
    "url",
    [
        "https://web/",
        "web:8000",
        "http:///x",
        "http://web:x/",
        "ftp://web/",
        "http://web/\n",
        "http://web/a b",
    ],
)
def test_a_url_that_cannot_be_loaded_is_refused(url: str) -> None:
    """
    With what it must be like.
    """
    with pytest.raises(UsageError, match="--url"):
        workload_of(url)


def test_a_url_names_a_service_or_a_published_port() -> None:
    """
    Anything else is refused with the services that there are.
    """
    named = entry_of(workload_of(URL), CONFIG)
    assert (named.entry_service, named.services) == ("web", ("web", "db", "worker"))
    published = entry_of(workload_of("http://localhost/x"), CONFIG)
    assert (published.entry_service, published.entry_port) == ("web", 8000)
    with pytest.raises(UsageError, match="no service publishes port 81"):
        entry_of(workload_of("http://127.0.0.1:81/"), CONFIG)
    with pytest.raises(UsageError, match="'shop' is no service; the services are: web, db, worker"):
        entry_of(workload_of("http://shop/"), CONFIG)


def test_services_without_replicas_have_fixed_addresses() -> None:
    """
    Those of the files stay, and others are above what replicas get.
    """
    assert addresses(CONFIG) == {
        "web": {"default": "198.18.0.128", "back": "198.18.9.128"},
        "db": {"back": "198.18.9.9"},
    }


def test_the_overrides_are_yaml_that_changes_one_thing_each() -> None:
    """
    Subnets and health checks in all variants; then addresses with every name, and log drivers.
    """
    made = overrides(CONFIG)
    assert 'subnet": "198.18.0.0/24"' in made["measured.yaml"]
    assert "back" not in made["measured.yaml"]
    assert 'interval: "1h"' in made["measured.yaml"]
    assert '"db=198.18.9.9"' in made["addresses.yaml"]
    assert '"www=198.18.9.128"' in made["addresses.yaml"]
    assert '"worker=' not in made["addresses.yaml"]
    assert made["log-none.yaml"].count('driver: "none"') == 3
    assert all(text.startswith("# ") for text in made.values())


def test_a_health_check_of_an_image_is_not_made_under_load_either() -> None:
    """
    Nor is one made up for a service whose image has none, or that has switched it off.
    """
    off = {"image": "off", "healthcheck": {"disable": True}}
    config = CONFIG | {"services": CONFIG["services"] | {"off": off}}
    made = overrides(config, {"db", "off"})["measured.yaml"]
    assert [name for name in config["services"] if f"  {name}:\n" in made] == ["web", "db"]


def test_a_network_gets_no_subnet_that_another_has() -> None:
    """
    Such as one of the files.
    """
    given = {"ipam": {"config": [{"subnet": "198.18.0.0/23"}]}}
    found = subnets({"networks": {"one": {}, "two": given, "three": None}})
    assert {name: str(each) for name, each in found.items()} == {
        "one": "198.18.2.0/24",
        "two": "198.18.0.0/23",
        "three": "198.18.3.0/24",
    }
    with pytest.raises(UsageError, match=r"networks\.two: .*; use an IPv4 subnet"):
        subnets({"networks": {"two": {"ipam": {"config": [{"subnet": "fd00::/64"}]}}}})


def test_the_images_below_a_build_are_looked_for_too(tmp_path: Path) -> None:
    """
    An archive of the built image itself makes the build unnecessary.
    """
    folder = tmp_path / "images"
    folder.mkdir()
    stack = Stack(name="shop", folder=tmp_path, files=("compose.yaml",))
    found = {
        "config": {"services": {"web": {"build": {"context": "/srv/stack"}}, "db": {}}},
        "images": {"web": "shop-web:latest", "db": "db:1"},
        "builds": {"web": {"bases": ["base:1", "db:1"], "refused": []}},
        "in_userland": [],
    }

    def saved(name: str, *images: str) -> None:
        packed(folder / name, {"manifest.json": json.dumps([{"RepoTags": images}]).encode()})

    images, archives, builds = sources(stack, found, from_host=False)
    assert {each.name: each.source for each in images} == {
        "shop-web:latest": "built from Dockerfile",
        "db:1": "",
        "base:1": "",
    }
    assert (archives, builds) == ([], {"shop-web:latest": "web"})
    saved("all.tar", "base:1", "db:1")
    images, archives, _ = sources(stack, found, from_host=False)
    assert [each.services for each in images] == [("web",), ("db", "web"), ("web",)]
    assert [each.source for each in archives] == ["archive all.tar"]
    saved("web.tar", "shop-web:latest")
    images, archives, builds = sources(stack, found, from_host=False)
    assert [each.name for each in images] == ["shop-web:latest", "db:1"]
    assert builds == {}


def test_archives_are_loaded_once_whatever_the_compose_file_says(tmp_path: Path) -> None:
    """
    What is built depends on all of the project.
    """
    one = Stack(name="shop", folder=tmp_path, files=(), configuration_sha256="1")
    other = dataclasses.replace(one, configuration_sha256="2")
    packed(tmp_path / "db.tar", {"manifest.json": b"[]"})
    archive = SavedArchive(tmp_path / "db.tar", ("db:1",))
    assert digest_of(one, [archive], {}) == digest_of(other, [archive], {})
    assert digest_of(one, [archive], {"web": "web"}) != digest_of(other, [archive], {"web": "web"})


def test_no_build_gets_an_archive_as_a_part_of_its_context(tmp_path: Path) -> None:
    """
    Most projects are copied into an image as a whole, with the archives that lie in them.
    """
    folder = tmp_path / "shop"
    inside, outside = folder / "images" / "db.tar", tmp_path / "other.tar"
    (mount,) = hidden([inside, outside], folder, tmp_path / "empty")
    assert (mount.source, mount.target) == (str(tmp_path / "empty"), "/srv/stack/images/db.tar")
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop", "myshop"), ("_a.b-c", "ab-c"), ("ÄÖ", "stack")]
)
def test_a_project_is_named_as_compose_names_it(tmp_path: Path, folder: str, name: str) -> None:
    """
    By its folder, without what no name may have.
    """
    file = tmp_path / folder / "compose.yaml"
    file.parent.mkdir()
    file.write_text("services: {}")
    assert stack_of(file).name == name


def test_runs_of_other_stacks_are_not_the_same(compose: Path) -> None:
    """
    Neither by another configuration, nor by another image.
    """
    stack = stack_of(compose)
    image = StackImage("web:1", ("web",), "archive web.tar", "sha256:1")
    whole = dataclasses.replace(stack, configuration_sha256="c", images=(image,))
    other = dataclasses.replace(image, digest="sha256:2", source="the host's Docker")
    assert same_stack(whole) == same_stack(dataclasses.replace(whole, folder=compose.parent / "x"))
    assert same_stack(whole) != same_stack(dataclasses.replace(whole, images=(other,)))
    assert same_stack(whole) != same_stack(dataclasses.replace(whole, configuration_sha256="d"))
    assert same_stack(None) not in (None, same_stack(whole))


def packed(path: Path, files: dict[str, bytes]) -> Path:
    """
    A tar archive of these files.
    """
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def test_an_archive_of_docker_save_names_its_images(tmp_path: Path) -> None:
    """
    With a tag, as Docker keeps them.
    """
    listed = [{"RepoTags": ["web:1", "docker.io/library/web"]}, {"RepoTags": None}]
    packed(tmp_path / "web.tar", {"manifest.json": json.dumps(listed).encode()})
    (tmp_path / "README").write_text("no archive")
    (archive,) = archives_in(tmp_path)
    assert isinstance(archive, SavedArchive)
    assert archive.names == ("web:1", "web:latest")
    assert archives_in(tmp_path / "none") == []


def oci(reference: str) -> dict[str, bytes]:
    """
    An OCI layout with one image, for two architectures, and a file that no manifest names.
    """
    manifest = {"config": {"digest": "sha256:c"}, "layers": [{"digest": "sha256:l"}]}
    places = [("sha256:other", "riscv64"), ("sha256:m", architecture())]
    inner = [
        {"digest": digest, "platform": {"os": "linux", "architecture": name}}
        for digest, name in places
    ]
    annotations = {"org.opencontainers.image.ref.name": reference}
    index = {"manifests": [{"digest": "sha256:i", "annotations": annotations}]}
    return {
        "oci-layout": b"{}",
        "index.json": json.dumps(index).encode(),
        "blobs/sha256/i": json.dumps({"manifests": inner}).encode(),
        "blobs/sha256/m": json.dumps(manifest).encode(),
        "blobs/sha256/c": b"{}",
        "blobs/sha256/l": b"layer",
        "../outside": b"no blob",
    }


@pytest.mark.parametrize("as_folder", [True, False])
def test_an_oci_layout_becomes_an_archive_that_docker_loads(
    tmp_path: Path, *, as_folder: bool
) -> None:
    """
    With the blobs of this machine's image alone.
    """
    files = oci("1.27")
    path = tmp_path / "images" / ("web" if as_folder else "web.tar")
    if as_folder:
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    else:
        path.parent.mkdir()
        packed(path, files)
    (archive,) = archives_in(tmp_path / "images")
    assert isinstance(archive, OciLayout)
    assert archive.manifests == {"web:1.27": "sha256:m"}
    with tarfile.open(archive.place(tmp_path)) as made:
        assert made.getnames() == ["blobs/sha256/c", "blobs/sha256/l", "manifest.json"]
        file = made.extractfile("manifest.json")
        assert file is not None
        assert json.load(file) == [
            {
                "Config": "blobs/sha256/c",
                "RepoTags": ["web:1.27"],
                "Layers": ["blobs/sha256/l"],
            }
        ]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "ReadError"),
        ({"a": b""}, "index.json"),
        ({**oci("a/b:c"), "blobs/sha256/i": b'{"manifests": []}'}, "it has no image for linux/"),
        ({**oci("a/b:c"), "index.json": b'{"manifests": [{"digest": "../x"}]}'}, "is no digest"),
        ({"manifest.json": b"[1]"}, "AttributeError"),
    ],
)
def test_what_is_no_archive_is_refused_by_its_path(
    tmp_path: Path, files: dict[str, bytes] | None, words: str
) -> None:
    """
    And with the fault.
    """
    path = tmp_path / "web.tar"
    path.write_bytes(b"no tar") if files is None else packed(path, files)
    with pytest.raises(UsageError, match=rf"web\.tar is neither an archive .*{words}"):
        archives_in(tmp_path)
