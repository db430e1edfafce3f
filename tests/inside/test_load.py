"""
Real load on a real answer, and a load generator that fails in every way.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from experiments.declare.reading import load_variants
from experiments.declare.workloads import ENTRY_PORT, ENTRY_SERVICE, choose_workload
from experiments.deployments.compose import resolve
from experiments.deployments.process import ProcessDeployment
from experiments.errors import LoadError
from experiments.lab.network import NetworkNamespace
from experiments.load import Client, LoadPlan
from experiments.load.ab import PERCENTILES_FILE, TEXT_FILE, ApacheBench
from experiments.paths import SERVICES
from experiments.probes.response import check_answers

if TYPE_CHECKING:
    from experiments.deployments import Site
    from experiments.lab.cgroups import ControlGroup


LEVELS = load_variants().variants["netns"].levels


def plan(address: str, requests: int = 40, limit_s: float = 30) -> LoadPlan:
    """
    A small load of the constant answer.
    """
    return LoadPlan(address, choose_workload("fixed"), requests, 4, limit_s)


def client(site: Site, group: ControlGroup) -> Client:
    """
    A client in the host's namespace.
    """
    return Client(NetworkNamespace(site.network_namespace).path, group)


def replace_ab(site: Site, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """
    Put another program first on the path under the name of ab.
    """
    directory = site.directory / "bin"
    directory.mkdir()
    (directory / "ab").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "ab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_a_load_is_measured_and_its_text_kept(site: Site, client_group: ControlGroup) -> None:
    """
    Every request is accounted for, and ab's own words are there.
    """
    project = resolve([SERVICES / "compose.yaml"], ["gateway"])
    with ProcessDeployment(project, site, LEVELS) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        result = ApacheBench().run(plan(address), client(site, client_group), site.directory)
    assert (result.requests_completed, result.requests_ok) == (40, 40)
    assert 0 < result.latency_p50_us <= result.latency_p99_us <= result.latency_max_us
    assert "Complete requests:      40" in (site.directory / TEXT_FILE).read_text()
    assert (site.directory / PERCENTILES_FILE).exists()
    assert result.details is not None
    assert result.details.document_length_variable


def test_without_any_length_ab_s_own_reference_length_counts(
    site: Site, client_group: ControlGroup
) -> None:
    """
    As the published report was made.
    """
    project = resolve([SERVICES / "compose.yaml"], ["gateway"])
    with ProcessDeployment(project, site, LEVELS) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        wanted = dataclasses.replace(plan(address), any_length=False)
        result = ApacheBench().run(wanted, client(site, client_group), site.directory)
    assert "-l" not in result.command
    assert result.details is not None
    assert result.details.document_length


def test_nobody_listening_is_ab_s_own_error(site: Site, client_group: ControlGroup) -> None:
    """
    With its reason.
    """
    with pytest.raises(LoadError, match="Connection refused"):
        ApacheBench().run(plan("127.0.0.1:9"), client(site, client_group), site.directory)


def test_an_unexpected_answer_is_an_error_before_any_load(site: Site) -> None:
    """
    The gateway of another workload answers, but not as it should.
    """
    nobody = site.directory / "nobody.yaml"
    nobody.write_text(
        "services: {gateway: {environment: {PRODUCT_BACKENDS: 'http://127.0.0.1:9'}}}"
    )
    project = resolve([SERVICES / "compose.yaml", nobody], ["gateway"])
    with ProcessDeployment(project, site, LEVELS) as deployment:
        address = deployment.address(ENTRY_SERVICE, ENTRY_PORT, "direct")
        with pytest.raises(LoadError, match=r"products .*: status 502, expected 200; .*reached"):
            check_answers(site.network_namespace, address, choose_workload("products"))
    with pytest.raises(LoadError, match="does not answer"):
        check_answers(site.network_namespace, address, choose_workload("fixed"))


def test_a_load_generator_that_hangs_is_ended(
    site: Site, client_group: ControlGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    At its limit, with what it had printed kept.
    """
    replace_ab(site, monkeypatch, "echo only this far; exec sleep 100")
    started = time.monotonic()
    with pytest.raises(LoadError, match=r"did not finish 40 requests .* within 1 s"):
        ApacheBench().run(
            plan("127.0.0.1:9", limit_s=1), client(site, client_group), site.directory
        )
    assert time.monotonic() - started < 20
    assert (site.directory / TEXT_FILE).read_text() == "only this far\n"
    assert client_group.process_ids() == set()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo rubbish", "not a report of ab: no “Concurrency Level” in it; it begins 'rubbish'"),
        ("head -c 5000 /dev/urandom", "not a report of ab"),
        ("exit 3", "not a report of ab"),
        ("exit 127", "the userland has no ab"),
    ],
)
def test_a_load_generator_that_prints_rubbish_is_an_error(
    site: Site,
    client_group: ControlGroup,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
) -> None:
    """
    Never a number.
    """
    replace_ab(site, monkeypatch, script)
    with pytest.raises(LoadError, match=message):
        ApacheBench().run(plan("127.0.0.1:9"), client(site, client_group), site.directory)


def test_a_load_generator_that_is_not_there_is_named(
    site: Site, client_group: ControlGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    With the package that has it.
    """
    directory = site.directory / "bin"
    directory.mkdir()
    for name in ("sh", "nsenter"):
        (directory / name).symlink_to(Path("/usr/bin") / name)
    monkeypatch.setenv("PATH", str(directory))
    with pytest.raises(LoadError, match="its package is apache2-utils"):
        ApacheBench().run(plan("127.0.0.1:9"), client(site, client_group), site.directory)
