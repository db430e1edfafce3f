"""
What keeps a user's project from being measured, said before anything is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiments.commands import Ended
from experiments.deployments import compose
from experiments.deployments.compose import ComposeProject
from experiments.deployments.compose_services import run_once
from experiments.paths import STACK_IN_LAB
from experiments.run import refusals, survey
from experiments.run.refusals import bases, of_build, reaching

NETWORKS = {"default": {"ipam": {"config": [{"subnet": "198.18.7.0/24"}]}}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    The folder of a project, where the lab would see it.
    """
    place = tmp_path / "stack"
    place.mkdir()
    monkeypatch.setattr(refusals, "STACK_IN_LAB", place)
    return place


def project(unset: tuple[str, ...] = (), **service: Any) -> ComposeProject:  # noqa: ANN401 - as JSON
    """
    A project of one service, which is on one network.
    """
    table = {"image": "web", "networks": {"default": None}, **service}
    config = {"name": "shop", "services": {"web": table}, "networks": NETWORKS}
    return ComposeProject((), (), config, unset=unset)


@pytest.fixture
def _read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Compose, which would merge the generated override file, changes nothing.
    """
    monkeypatch.setattr(refusals, "with_file", lambda project, _file: project)


@pytest.mark.usefixtures("_read_again")
@pytest.mark.parametrize(
    ("service", "message"),
    [
        (
            {"volumes": [{"type": "bind", "source": "/etc/x", "target": "/x"}]},
            "web.volumes: /etc/x",
        ),
        ({"volumes": [{"type": "bind", "source": "/dev/kvm", "target": "/k"}]}, "reaches the mach"),
        ({"mem_limit": str(2**60)}, "services.web.mem_limit: all limits together are 1073741824.0"),
        (
            {"deploy": {"replicas": 2, "resources": {"limits": {"memory": str(2**59)}}}},
            "(web 1073741824.0), and the machine has",
        ),
        ({"network_mode": "bridge"}, "services.web.network_mode: raw namespaces cannot honour 'b"),
    ],
)
def test_a_value_is_refused_by_service_and_key(
    folder: Path, service: dict[str, Any], message: str
) -> None:
    """
    Before any image is there.
    """
    assert folder.is_dir()
    (found,) = refusals.refusals(project(**service))
    assert message in found


@pytest.mark.usefixtures("_read_again")
def test_every_reason_is_told_at_once(folder: Path) -> None:
    """
    Of all services, volumes and networks, with the variables that are not set.
    """
    missing = {"type": "bind", "source": str(folder / "a.conf"), "target": "/a"}
    wanted = project(("NAME",), volumes=[missing], network_mode="none")
    tables = dict(wanted.config["services"], other={"image": "a", "network_mode": "none"})
    wrong = {"external": True}
    config = {
        **wanted.config,
        "services": tables,
        "networks": NETWORKS | {"theirs": wrong, "more": {"driver": "macvlan"}},
        "volumes": {"data": wrong},
    }
    found = refusals.refusals(ComposeProject((), (), config, unset=("NAME",)))
    assert [each.split(":")[0] for each in found] == [
        "the variable ${NAME} is not set",
        "services.web.volumes",
        "volumes.data.external",
        "services.web.network_mode",
        "services.other.network_mode",
        "networks.theirs.external",
        "networks.more.driver",
    ]
    assert "there is no ./a.conf" in found[1]


@pytest.mark.usefixtures("folder", "_read_again")
def test_a_plain_project_is_not_refused() -> None:
    """
    With an image whose defaults are not known yet.
    """
    assert refusals.refusals(project(environment={"A": "1"})) == []


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"cap_add": ["NET_BIND_SERVICE"]}, []),
        ({"cap_add": ["SYS_ADMIN"]}, ["services.web.cap_add: SYS_ADMIN: it reaches the machine"]),
        # It is refused as a key.
        ({"privileged": True}, []),
    ],
)
def test_a_value_that_reaches_the_machine_is_named(
    service: dict[str, Any], expected: list[str]
) -> None:
    """
    Of keys whose other values are honoured.
    """
    assert [each.partition("; ")[0] for each in reaching(project(**service))] == expected


@pytest.mark.parametrize(
    ("dockerfile", "arguments", "expected"),
    [
        ("FROM scratch\nADD a /\n", {}, []),
        (
            "from python:3.13 as build\nRUN a\nFROM build\nFROM nginx\n",
            {},
            ["python:3.13", "nginx:latest"],
        ),
        ("ARG V=3\nFROM --platform=$P python:${V}-slim\n", {}, ["python:3-slim"]),
        ("ARG V=3\nFROM python:$V\nARG V=5\n", {"V": "4"}, ["python:4"]),
        ("FROM docker.io/library/redis:${V:-7}\n", {}, ["redis:7"]),
        ("# FROM a\nCOPY --from=b c d\n", {}, []),
    ],
)
def test_the_images_below_a_dockerfile_are_found(
    tmp_path: Path, dockerfile: str, arguments: dict[str, str], expected: list[str]
) -> None:
    """
    Stages are none of them; arguments have the values that the Compose file gives.
    """
    (tmp_path / "Dockerfile").write_text(dockerfile)
    assert bases({"context": str(tmp_path), "args": arguments}) == expected
    assert bases({"context": "", "dockerfile_inline": dockerfile, "args": arguments}) == expected


def test_a_build_that_the_lab_cannot_do_is_refused_by_key(folder: Path) -> None:
    """
    With what to do instead.
    """
    (folder / "Dockerfile").write_text("FROM scratch\n")
    assert of_build({"context": str(folder), "target": "a", "cache_from": ["b"]}) == []
    (found,) = of_build({"context": str(folder), "ssh": ["default"]})
    assert found.startswith("ssh: the builder of the lab does not know it; build the image with")
    (found,) = of_build({"context": str(folder), "dockerfile": "Other"})
    assert found == "dockerfile: there is no ./Other"
    (found,) = of_build({"context": str(folder.parent)})
    assert found.startswith("context: .. is not below the folder of the Compose file")


def test_variables_without_a_value_are_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    From the warnings of Compose, in either of its formats.
    """
    said = (
        'time="2026-11-28T13:21:49Z" level=warning msg="The \\"TAG\\" variable is not set. '
        'Defaulting to a blank string."\nWARN[0000] The "HOST" variable is not set. Defaulting\n'
    )
    ended = Ended((), 1, 0, b"{}", said.encode())
    monkeypatch.setattr(compose, "run_command", lambda *_, **__: ended)
    assert compose.resolve([], []).unset == ("TAG", "HOST")


def test_services_whose_end_others_wait_for_run_once() -> None:
    """
    Whatever else the others wait for.
    """
    depends = {
        "a": {"condition": "service_completed_successfully"},
        "b": {"condition": "service_healthy"},
    }
    assert run_once({"services": {"web": {"depends_on": depends}, "a": {}, "b": {}}}) == {"a"}


@pytest.mark.parametrize(
    ("named", "expected"), [("theirs", "theirs"), (STACK_IN_LAB.name, "folder")]
)
def test_a_project_has_the_name_of_its_files_or_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, named: str, expected: str
) -> None:
    """
    Not that of the folder in the lab.
    """

    def resolve(_files: object, _chosen: object, variables: dict[str, str] | None = None) -> object:
        name = (variables or {}).get("COMPOSE_PROJECT_NAME", named)
        return ComposeProject((), (), {"name": name})

    monkeypatch.setattr(survey, "resolve", resolve)
    assert survey.read("folder", [Path("compose.yaml")]).config["name"] == expected
