"""
Compose projects of many shapes by the command: measured unchanged, or refused with the remedy.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.machines.local import LocalMachine, cache_directory
from experiments.machines.lock import RunLock
from experiments.machines.stack_store import STACKS
from experiments.records.files import latest_run
from experiments.records.store import read_manifest, read_trials
from experiments.records.trials import OK
from tests.lab.conftest import residue, settled
from tests.lab.test_runs import finish, measure
from tests.stacks.archive import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent.parent / "stacks"
SHORT = ["--blocks", "1", "--rounds", "2", "--requests", "100", "--warmup-requests", "20"]
VARIANTS = ["--variants", "netns,docker,docker-as-given"]


@pytest.fixture(scope="module")
def images() -> Iterator[Path]:
    """
    The archive of all images, and a cache that is afterwards as it was.
    """
    stores = cache_directory() / STACKS
    before = set(stores.glob("*"))
    with RunLock():
        machine = LocalMachine(cache_directory())
        machine.up()
        found = archive(machine)
    yield found
    for store in set(stores.glob("*")) - before:
        shutil.rmtree(store)


def placed(name: str, tmp_path: Path, images: Path) -> Path:
    """
    A copy of a stack with its archive; the path of its Compose file.
    """
    folder = tmp_path / name
    shutil.copytree(HERE / name, folder)
    (folder / "images").mkdir()
    # A link, so that no build gets the archive as a part of its context.
    (folder / "images" / images.name).symlink_to(images)
    return folder / "compose.yaml"


def refused(compose_file: Path, url: str) -> str:
    """
    What is printed for a stack that is not measured; nothing is left of it.
    """
    results = compose_file.parent.parent / "results"
    before = residue()
    process = measure("--results", str(results), *SHORT, "--stack", str(compose_file), "--url", url)
    text = finish(process)
    assert process.returncode in {1, 2}, text
    assert "Traceback" not in text
    assert not list(results.glob("*")) or not read_trials(latest_run(results)), text
    assert settled(before) == before
    return text


SHAPES = {
    "counter": ("http://proxy/", ["correct-horse-battery"]),
    "node": ("http://api:3000/", ["staple-4711"]),
    "shapes": ("http://front:8000/", ["battery-0815", "vanilla-1234", "good day"]),
    "vote": ("http://vote/", ["published-7331"]),
    "board": ("http://localhost:80/", ["secret-in-a-file-99"]),
}


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", SHAPES)
def test_a_stack_is_measured_as_it_is(name: str, tmp_path: Path, images: Path) -> None:
    """
    Every trial of every variant is good, what they run is equal, and no secret is in the run.
    """
    url, secrets = SHAPES[name]
    compose_file = placed(name, tmp_path, images)
    text_of = {path: path.read_bytes() for path in compose_file.parent.rglob("*.y*ml")}
    before = residue()
    results = str(tmp_path / "results")
    process = measure(
        "--results", results, *SHORT, *VARIANTS, "--stack", str(compose_file), "--url", url
    )
    text = finish(process, 300)
    assert process.returncode == 0, text
    run = latest_run(tmp_path / "results")
    trials = read_trials(run)
    assert {trial.variant for trial in trials} == {
        *("netns", "netns-again", "docker", "docker-as-given")
    }
    assert [(trial.status, trial.error) for trial in trials] == [(OK, "")] * len(trials)
    for trial in trials:
        assert trial.facts is not None
        assert trial.path
        assert trial.allowed == []
    # What is needed and what honours it is said before anything starts.
    said, _, _ = text.partition("block 1 ")
    stack = read_manifest(run).stack
    assert stack is not None
    assert {"image", "ports", "depends_on"} <= {key.key for key in stack.keys}
    for key in stack.keys:
        assert f"  {key.key}: {key.arms} ({key.about})\n" in said
    for image in stack.images:
        assert f"image {image.name} of {', '.join(image.services)}: {image.source}\n" in said
        assert image.digest.startswith("sha256:")
    for file in run.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not [each for each in secrets if each.encode() in content], file
    assert {path: path.read_bytes() for path in text_of} == text_of
    assert settled(before) == before


REFUSED = [
    "services.entry.privileged: it reaches the machine; remove it",
    "services.entry.devices: it reaches the machine",
    "services.entry.pid: services share no processes here; remove it",
    "services.entry.tty: a terminal would change how the program prints; remove it",
    "services.entry.volumes: /var/run/docker.sock reaches the machine; remove the mount",
    "services.entry.volumes: there is no ./missing.conf; make it, or remove the mount",
    "services.entry.mem_limit: all limits together are 9000.0 GiB (entry 9000.0), and the machine",
    "services.entry.network_mode: raw namespaces cannot honour 'none'; only host",
    "services.entry.cap_add: SYS_MODULE: it reaches the machine; remove it",
    "services.entry.security_opt: seccomp:unconfined: it reaches the machine; remove it",
    "services.missing.links: use networks",
    "secrets.key.file: raw namespaces cannot honour ''; only a file of the project",
    "services.builds.build.ssh: the builder of the lab does not know it; build the image with",
    "services.builds.build.additional_contexts: the builder of the lab does not know it",
    "services.builds.build.dockerfile: there is no ./Dockerfile",
    "services.elsewhere.build.context: .. is not below the folder of the Compose file",
    "services.based.ipc: services share no memory here; remove it",
    "services.based.userns_mode: remove it",
    "services.based.runtime: the lab has only runc; remove it",
    "services.based.volumes_from: name the same volume in both services instead",
    "volumes.theirs.external: raw namespaces cannot honour True; the lab has no other project's",
    "networks.other.external: raw namespaces cannot honour True; the lab has no other project's",
    "networks.outside.ipam.config: subnet 10.1.0.0/24 is outside 198.18.0.0/15",
    "the variable ${UNSET} is not set: write UNSET=… into .env beside the Compose file",
    "/images/example.org-team-missing-1.2.tar example.org/team/missing:1.2`",
    "image python:3.13-slim of based is missing: make its archive with `docker save --output ",
]


@pytest.mark.usefixtures("built")
def test_everything_that_is_refused_is_named_at_once(tmp_path: Path, images: Path) -> None:
    """
    With service, key and remedy, and before an image is loaded or built.
    """
    text = refused(placed("refused", tmp_path, images), "http://entry/")
    assert [each for each in REFUSED if each not in text] == [], text
    assert "images: loading" not in text


ONE = "services: {web: {image: 'redis:7-alpine'%s}}\n"


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("compose", "url", "message"),
    [
        (None, "http://web/", "compose.yaml: there is no such file; name your compose.yaml"),
        ("services: [", "http://web/", "failed with status 15: yaml: line 1:"),
        ("services: {web: {imag: a}}", "http://web/", "Additional property imag is not allowed"),
        ("services: {}", "http://web/", "the project has no services"),
        (ONE % "", "http://wob/", "--url: 'wob' is no service; the services are: web"),
        (ONE % "", "http://localhost:81/", "--url: no service publishes port 81; name the service"),
    ],
)
def test_a_bad_project_is_refused_in_one_line(
    tmp_path: Path, compose: str | None, url: str, message: str
) -> None:
    """
    With Compose's own words, or with what would be right.
    """
    file = tmp_path / "bad" / "compose.yaml"
    file.parent.mkdir()
    if compose is not None:
        file.write_text(compose)
    assert message in refused(file, url)


@pytest.mark.usefixtures("built")
def test_a_build_that_needs_a_network_says_how_to_do_without(tmp_path: Path, images: Path) -> None:
    """
    With what the step said.
    """
    file = placed("counter", tmp_path, images)
    dockerfile = file.parent / "Dockerfile"
    dockerfile.write_text("FROM test-services:trixie\nRUN apt-get update --error-on=any\n")
    text = refused(file, "http://proxy/")
    assert "building counter-web:latest without a network failed with status 100" in text
    assert "Temporary failure resolving" in text
    assert "build the image with `docker compose build`" in text


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["sh", "-c", "echo out of paper; exit 3"], "out of paper"),
        (["sh", "-c", "echo gone; redis-server --daemonize yes"], "has to stay in the foreground"),
    ],
)
def test_a_service_that_ends_is_named_in_both_arms(
    tmp_path: Path, images: Path, command: list[str], message: str
) -> None:
    """
    With its last lines; one that goes into the background has a remedy of its own.
    """
    file = placed("refused", tmp_path, images)
    file.write_text(ONE % f", command: {command}")
    results = str(tmp_path / "results")
    process = measure(
        *("--results", results, *SHORT, "--blocks", "9", "--variants", "netns,docker"),
        *("--stack", str(file), "--url", "http://web:6379/"),
    )
    text = finish(process)
    assert process.returncode == 1, text
    # Another block would fail as well.
    assert "no variant of the stack refused could be measured, so the run ends" in text
    trials = read_trials(latest_run(tmp_path / "results"))
    assert {trial.variant for trial in trials} >= {"netns", "docker"}
    for trial in trials:
        assert "service web" in trial.error
        assert message in trial.error
