"""
The environment, and how to reproduce: the machine, the versions, and everything not the default.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from analysis.topics.environment.section import environment, reproduce
from experiments.declare.variants import Search
from experiments.plan.options import measure_parser
from experiments.records.manifest import Box, MachineRecord, Source, UserlandRecord
from tests.unit.reading import row_of, rows_of
from tests.unit.samples import findings, manifest
from tests.unit.topics.samples import pair_of

if TYPE_CHECKING:
    from experiments.records.manifest import Manifest


def value(made: Manifest, name: str) -> str:
    """
    One value of the environment's table.
    """
    return row_of(environment(findings(made, pair_of([1.1]))), name)[1]


def command(made: Manifest) -> list[str]:
    """
    The words of the command that measures again.
    """
    (line,) = [
        line
        for line in reproduce(findings(made, [])).splitlines()
        if line.startswith("nox -s measure")
    ]
    return line.split()


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    """
    And is no error.
    """
    bare = dataclasses.replace(manifest(), userland=UserlandRecord(), git=None)
    assert value(bare, "Virtualised") == "unknown"
    assert "unknown" in value(bare, "Userland")
    assert "repository" in value(bare, "Project")
    assert "unknown" in row_of(environment(findings(bare, [])), "Placement")[1]


def test_the_placement_is_that_of_the_trials() -> None:
    """
    Client and stack each on its own CPUs.
    """
    assert value(manifest(), "Placement") == "client on CPU 0, stack on CPU 1, pinned"


def test_a_virtual_machine_is_told_with_its_box() -> None:
    """
    And this host without any.
    """
    box = Box("b", "d" * 16, "13.1.1", "f" * 64)
    machine = MachineRecord(
        name="vagrant",
        reason="as asked",
        provider="libvirt",
        hypervisor="QEMU 7.2",
        acceleration="kvm",
        box=box,
    )
    made = dataclasses.replace(manifest(), machine=machine)
    assert value(made, "Hypervisor") == "QEMU 7.2 by libvirt"
    assert value(made, "Box") == f"b 13.1.1, SHA-256 {'f' * 64}"
    assert rows_of(environment(findings(manifest(), [])), "Box") == []


def test_how_to_reproduce_names_everything_that_was_not_the_default() -> None:
    """
    The mirror, the user's own variants, ab's reference length, the margin, what was allowed.
    """
    plain = command(manifest())
    made = dataclasses.replace(
        manifest(),
        variants_file="variants.toml",
        any_length=False,
        userland=UserlandRecord(mirror="http://m"),
        margin=0.05,
        allowed=["sysctls"],
        allow_privileged=True,
        agreement=["netns"],
        open_fractions=[0.3],
        open_requests=2000,
        common_rate_per_s=120.0,
    )
    words = " ".join(command(made))
    for option in (
        "--variants-file results/20260101T000000Z/variants.toml",
        "--same-length",
        "--mirror http://m",
        "--margin 5",
        "--allow sysctls",
        "--allow-privileged",
        "--agreement netns",
        "--open-loop --open-requests 2000",
        "--common-rate 120",
    ):
        assert option in words
        assert option.split()[0] not in plain


@pytest.mark.parametrize("blocks", [2, 5])
def test_the_command_is_one_that_the_session_takes(blocks: int) -> None:
    """
    With the run's own variants, blocks, seed, rounds and loads.
    """
    made = dataclasses.replace(manifest(blocks=blocks), rounds=4, requests=250, seed=7)
    options = measure_parser().parse_args(command(made)[4:])
    assert options.blocks == blocks
    assert (options.seed, options.rounds, options.requests) == (7, 4, 250)
    assert command(made)[4:6] == ["--variants", "netns,docker"]


def test_a_twin_is_not_asked_for() -> None:
    """
    A run adds it by itself.
    """
    made = manifest()
    twin = dataclasses.replace(made.variants[0], name="netns-again", twin_of="netns")
    twice = dataclasses.replace(made, variants=[*made.variants, twin])
    assert command(twice)[5] == "netns,docker"


def test_the_commit_is_named_and_whether_files_were_changed() -> None:
    """
    So that a stranger measures the same thing.
    """
    text = reproduce(findings(manifest(), []))
    assert f"commit {'f' * 40}" in text
    assert "changed files" not in text
    changed = dataclasses.replace(manifest(), git=Source("f" * 40, changed=True))
    assert "changed files" in reproduce(findings(changed, []))


def test_a_search_may_find_something_else_the_next_time() -> None:
    """
    Which is said where there was one.
    """
    made = dataclasses.replace(manifest(), search=Search("tuned", "", "docker", ()))
    assert "`tuned`" in reproduce(findings(made, []))


def test_a_pooled_report_is_made_again_from_all_of_its_runs() -> None:
    """
    Each by its folder.
    """
    made = dataclasses.replace(manifest(), run="A + B")
    assert "nox -s report -- results/A results/B\n" in reproduce(findings(made, []))
