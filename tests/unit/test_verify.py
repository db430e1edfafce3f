"""
Whether a run reproduces the reference: what is refused, what is told, and the exit status.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from analysis.folders import REFERENCE, RESULTS
from analysis.statistics.verdicts import Kind
from analysis.verify.__main__ import compare, epilog, main, parser
from analysis.verify.conditions import ALLOWABLE
from analysis.verify.effects import verify
from analysis.verify.printing import as_json, as_text, refusal
from analysis.verify.rule import Outcome, Sizes
from experiments.declare.variants import Search, Variant
from experiments.records.manifest import Environment, MachineRecord, Session, UserlandRecord
from tests.unit.samples import manifest
from tests.unit.verify_samples import (
    CLEAR,
    NONE,
    OPEN,
    PATTERN,
    plan,
    run,
    with_variants,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.run import Run


@pytest.fixture
def reference(tmp_path: Path) -> Run:
    """
    A reference that found Docker slower.
    """
    return run(tmp_path / "reference")


def test_the_reference_s_margin_holds_for_both(tmp_path: Path) -> None:
    """
    A run cannot make an effect equivalent by calling more of it none.
    """
    one = run(tmp_path / "A", margin=0.02)
    lenient = run(tmp_path / "B", margin=0.9)
    assert [row.outcome for row in verify(one, lenient).rows] == [Outcome.REPRODUCED]
    assert [row.here.verdict.kind for row in verify(one, lenient).rows] == [Kind.SLOWER]
    text = as_text(compare(lenient, one, []), verify(one, lenient))
    assert ["margin", "0.02", "0.9"] in [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("at_fault", ["A", "B"])
def test_an_untrustworthy_instrument_tells_nothing(at_fault: str, tmp_path: Path) -> None:
    """
    In whichever run it is, which is named.
    """
    one, other = (
        run(tmp_path / name, control=(0.1, 0.01) if name == at_fault else NONE) for name in "AB"
    )
    found = verify(one, other)
    assert found.outcome is Outcome.CANNOT_TELL
    assert [row.outcome for row in found.rows] == [Outcome.CANNOT_TELL]
    (fault,) = found.faults
    assert f"run {at_fault} " in fault
    assert "netns-again and netns" in fault
    assert " +10.5" in fault


def test_that_nothing_was_measured_twice_is_told(tmp_path: Path, reference: Run) -> None:
    """
    It does not keep the run from reproducing anything.
    """
    here = run(tmp_path / "B", comparisons=plan("B").comparisons[:1])
    found = verify(reference, here)
    assert found.outcome is Outcome.REPRODUCED
    (note,) = found.notes
    assert note.startswith("run B has no A/A comparison")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("interrupted", "is interrupted"),
        ("failed", "is failed"),
        ("running", "is not finished"),
    ],
)
def test_a_run_that_broke_off_is_compared_by_what_it_has(
    state: str, words: str, tmp_path: Path, reference: Run
) -> None:
    """
    And the output says that it did.
    """
    whole = run(tmp_path / "B")
    here = dataclasses.replace(
        whole,
        manifest=dataclasses.replace(whole.manifest, state=state, order=[[["netns"]]] * 5),
        trials=whole.trials[:15],
    )
    found = verify(reference, here)
    assert found.outcome is Outcome.REPRODUCED
    assert found.notes[0].startswith(f"run B {words}: it has 5 blocks of at least 12")


def test_a_run_that_was_resumed_is_compared_like_any_other(tmp_path: Path, reference: Run) -> None:
    """
    It has the blocks of its plan, and no block has a pause in it.
    """
    whole = run(tmp_path / "B")
    one = Session(1.7e9, 5.0, finished_at=1.7e9 + 60, state="failed")
    sessions = [one, dataclasses.replace(one, after_block=5, state="complete")]
    resumed = dataclasses.replace(
        whole, manifest=dataclasses.replace(whole.manifest, sessions=sessions)
    )
    assert verify(reference, resumed) == verify(reference, whole)
    assert verify(reference, resumed).outcome is Outcome.REPRODUCED


def test_a_run_of_one_block_tells_nothing(tmp_path: Path, reference: Run) -> None:
    """
    One block has no interval.
    """
    whole = run(tmp_path / "B")
    here = dataclasses.replace(whole, trials=whole.trials[:3])
    result = compare(here, reference, [])
    assert result.verification is not None
    assert result.verification.outcome is Outcome.CANNOT_TELL
    text = as_text(result, result.verification)
    assert "[no interval: one block]" in text
    assert "matched: no interval" in text
    empty = dataclasses.replace(whole, trials=[])
    again = compare(empty, reference, [])
    assert again.verification is not None
    assert "not measured" in as_text(again, again.verification)


def test_nothing_is_reproduced_where_nothing_is_shared(tmp_path: Path, reference: Run) -> None:
    """
    The reference's effects are named.
    """
    control = plan("B").comparisons[1:]
    here = run(tmp_path / "B", comparisons=control)
    result = compare(here, reference, [])
    assert result.verification is not None
    assert result.exit_status == 12
    text = as_text(result, result.verification)
    assert "Not compared (not in this run): matched." in text
    assert "Of the reference's 1 focal effect, none is in this run." in text


def test_a_reference_that_compares_nothing_has_nothing_to_reproduce(tmp_path: Path) -> None:
    """
    A thing with itself is no comparison, whatever the run is for.
    """
    twins, focal = plan("").comparisons[1:], [("netns", "netns-again")]
    found = verify(run(tmp_path / "A", comparisons=twins, focal=focal), run(tmp_path / "B"))
    assert found.conclusion() == "Overall: cannot tell. The reference compares nothing."


DIFFERENT: list[tuple[str, dict[str, Any], str]] = [
    ("concurrency", {"concurrency": 10}, "concurrency is 50 in the reference, and 10 here"),
    ("any_length", {"any_length": False}, "any_length is True in the reference, and False here"),
    ("warmup", {"warmup_requests": 0}, "warmup is warm in the reference, and cold here"),
    (
        "workload",
        {"workload": dataclasses.replace(manifest().workload, path="/api/orders")},
        "workload: path is /api/products in the reference, and /api/orders here",
    ),
    (
        "emulation",
        {"machine": MachineRecord("vagrant", acceleration="emulation")},
        "emulation is not emulated in the reference, and emulated here",
    ),
    (
        "variants",
        {
            "variants": [
                dataclasses.replace(each, levels={"runtime": each.name, "server": "gunicorn"})
                for each in plan("").variants
            ]
        },
        "variants: docker, server is – in the reference, and gunicorn here",
    ),
    (
        "variants",
        {
            "variants": [
                dataclasses.replace(each, overlays_sha256=("f" * 8,)) for each in plan("").variants
            ]
        },
        "variants: docker, overlays_sha256 is () in the reference, and ('ffffffff',) here",
    ),
]


@pytest.mark.parametrize(("field", "changes", "message"), DIFFERENT)
def test_what_is_not_comparable_is_refused_with_both_values(
    field: str, changes: dict[str, Any], message: str, tmp_path: Path, reference: Run
) -> None:
    """
    And compared where the user allows it, which the output says first.
    """
    here = run(tmp_path / "B", **changes)
    result = compare(here, reference, [])
    assert result.verification is None
    assert result.exit_status == 2
    assert message in refusal(result)
    assert f"--allow {field} " in refusal(result)
    allowed = compare(here, reference, [field])
    assert allowed.verification is not None
    assert allowed.exit_status == 0
    text = as_text(allowed, allowed.verification)
    assert text.index("ALLOWED") < text.index("Overall:")


def test_another_load_generator_or_placement_is_refused(tmp_path: Path, reference: Run) -> None:
    """
    Both are known from the trials, and both are named at once.
    """
    here = run(tmp_path / "B")
    trials = [
        structs.replace(
            each,
            load=each.load and structs.replace(each.load, tool="h2load"),
            placement=structs.replace(each.placement, apart=False),
        )
        for each in here.trials
    ]
    result = compare(dataclasses.replace(here, trials=trials), reference, [])
    assert [each.field for each in result.refused] == ["load_generator", "placement"]
    assert "placement is apart in the reference, and shared here" in refusal(result)
    assert "--allow load_generator,placement" in refusal(result)


def test_a_workload_in_other_words_is_the_same(tmp_path: Path, reference: Run) -> None:
    """
    Its description changes no effect.
    """
    here = run(tmp_path / "B", workload=dataclasses.replace(manifest().workload, about="reworded"))
    assert compare(here, reference, []).refused == []


def test_a_variant_that_is_not_compared_may_be_another(tmp_path: Path, reference: Run) -> None:
    """
    Only what both runs compare must be equal.
    """
    one = dataclasses.replace(
        reference,
        manifest=dataclasses.replace(
            reference.manifest,
            variants=[*reference.manifest.variants, Variant("x", "", {"a": "b"})],
        ),
    )
    assert compare(run(tmp_path / "B"), one, []).refused == []


def test_another_result_of_a_search_is_left_out_and_named(tmp_path: Path) -> None:
    """
    Two searches may find two configurations; the rest is compared.
    """

    def made(name: str, workers: str) -> Run:
        search = Search("tuned", "", "docker", ())
        one = with_variants(run(tmp_path / name, search=search), {"tuned": CLEAR})
        one.manifest.variants[-1].levels["workers"] = workers
        return one

    found = compare(made("B", "4"), made("A", "2"), [])
    assert found.refused == []
    assert found.verification is not None
    assert found.verification.left_out.keys() == {"tuned"}
    assert found.verification.left_out["tuned"].endswith(": workers 2 and 4")
    assert [row.name for row in found.verification.rows] == ["matched"]
    again = verify(made("C", "2"), made("D", "4"), ["variants"])
    assert [row.name for row in again.rows] == ["matched", "tuned"]


def test_machine_and_software_may_differ_and_are_told(tmp_path: Path, reference: Run) -> None:
    """
    Entry by entry, with both values.
    """
    here = run(
        tmp_path / "B",
        requests=500,
        rounds=8,
        machine=MachineRecord("vagrant"),
        environment=Environment(kernel="6.1", cpus_online=4, sysctls={"net/a": "1\t2"}),
        userland=UserlandRecord("1" * 16, packages={"runc": "1.2"}, wheels={"flask": "3.1"}),
        git=None,
    )
    result = compare(here, reference, [])
    assert result.exit_status == 0
    assert {each.name: (each.reference, each.here) for each in result.differs} == {
        "machine": ("local", "vagrant"),
        "kernel": ("6.12", "6.1"),
        "cpus": (None, 4),
        "memory_gib": (16, None),
        "sysctls: net/a": ("–", "1\t2"),
        "userland": ("0" * 16, "1" * 16),
        "packages: runc": ("1.1", "1.2"),
        "commit": ("f" * 12, None),
        "changed files": (False, None),
        "rounds": (1, 8),
        "requests": (1000, 500),
    }
    assert result.verification is not None
    text = as_text(result, result.verification)
    assert text.index("Overall:") < text.index("differs:")
    assert "\n  sysctls: net/a" not in text.split("differs:", maxsplit=1)[0]


def test_one_line_for_each_effect(tmp_path: Path, reference: Run) -> None:
    """
    With both intervals, and what follows.
    """
    here = run(tmp_path / "B", (0.4, 0.01))
    result = compare(here, reference, [])
    assert result.verification is not None
    lines = as_text(result, result.verification).splitlines()
    (line,) = (line for line in lines if line.startswith("matched *"))
    cells = [cell for cell in line.split("  ") if cell]
    expected = ("matched *", "slower, +28.4", "slower, +49.", "reproduced in direction")
    assert len(cells) == len(expected)
    assert all(map(str.startswith, map(str.strip, cells), expected))
    (line,) = (line for line in lines if line.startswith("matched: told apart"))
    assert " +16." in line
    assert lines[-1] == "The environments do not differ."
    assert max(map(len, lines)) <= 120


def failing(made: Run, variant: str) -> Run:
    """
    The run in which one in ten answers of a variant was bad.
    """
    trials = [
        structs.replace(each, load=structs.replace(each.load, requests_ok=900))
        if each.variant == variant and each.load
        else each
        for each in made.trials
    ]
    return dataclasses.replace(made, trials=trials)


@pytest.mark.parametrize("at_fault", ["A", "B"])
def test_what_is_not_comparable_in_a_run_is_not_told_of_its_time(
    at_fault: str, tmp_path: Path
) -> None:
    """
    In whichever run it is, with the shares of good answers; such a reference claims nothing.
    """
    one, other = (
        failing(run(tmp_path / name), "docker" if name == at_fault else "") for name in "AB"
    )
    result = compare(other, one, [])
    assert result.verification is not None
    (row,) = result.verification.rows
    assert (row.outcome, row.gap) == (Outcome.CANNOT_TELL, None)
    assert row.counts is (at_fault == "B")
    assert result.exit_status == 12
    text = as_text(result, result.verification)
    where = {"A": "the reference", "B": "this run"}[at_fault]
    shares = f"matched, in {where}: not comparable: 100.00 % of the .* 90.00 % of the "
    assert re.search(shares, " ".join(text.split()))
    effects = json.loads(as_json(result))["effects"][0]
    found = effects[{"A": "reference", "B": "here"}[at_fault]]
    assert found == {"verdict": "not comparable", "relative": None, "blocks": len(PATTERN)}


def reported(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """
    The exit status and everything printed; the reference is beside the runs, if none is named.
    """
    said = list(arguments)
    if "--results" in said:
        said += ["--reference", Path(str(said[said.index("--results") + 1])) / "reference"]
    status = main([str(each) for each in said])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


@pytest.mark.parametrize(
    ("effect", "status", "words"),
    [
        (CLEAR, 0, "Overall: reproduced."),
        ((0.4, 0.01), 0, "Overall: reproduced in direction."),
        (NONE, 11, "Overall: not reproduced."),
        (OPEN, 12, "Overall: cannot tell."),
    ],
)
def test_the_exit_status_says_the_outcome(
    effect: tuple[float, float],
    status: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    The latest run is compared with the reference, by default the project's own.
    """
    assert parser().parse_args([]).reference == RESULTS / REFERENCE
    written(run(tmp_path / "reference"))
    written(run(tmp_path / "20260102T000000Z", effect))
    got, text = reported(["--results", tmp_path], capsys)
    assert got == status
    assert words in text


def test_json_has_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    And the same outcome and status as the text.
    """
    written(run(tmp_path / "reference"))
    here = written(run(tmp_path / "B", (0.4, 0.01), requests=500))
    status, text = reported([here.folder, "--results", tmp_path, "--json"], capsys)
    found = json.loads(text)
    assert (found["exit_status"], found["outcome"]) == (status, "reproduced in direction")
    (effect,) = found["effects"]
    assert effect["reference"]["verdict"] == "slower"
    assert effect["here"]["blocks"] == len(PATTERN)
    assert effect["ratio_to_reference"]["estimate"] == pytest.approx(math.expm1(0.15))
    assert found["differs"] == [{"field": "requests", "entry": "", "reference": 1000, "here": 500}]


def test_a_refusal_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The message stays on standard error.
    """
    written(run(tmp_path / "reference"))
    here = written(run(tmp_path / "B", concurrency=10))
    assert main([str(here.folder), "--reference", str(tmp_path / "reference"), "--json"]) == 2
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["outcome"] is None
    assert found["refused"] == [{"field": "concurrency", "entry": "", "reference": 50, "here": 10}]
    assert captured.err.startswith("error: run B with reference, the reference, cannot be compared")
    status, text = reported(
        [here.folder, "--results", tmp_path, "--allow", "warmup,concurrency"], capsys
    )
    assert status == 0
    assert "ALLOWED" in text


def test_of_several_references_the_one_that_suits_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Comparable first, then what has most in common, then the latest.
    """
    references = tmp_path / "reference"
    written(run(references / "cold", warmup_requests=0))
    written(run(references / "older"))
    written(run(references / "other", comparisons=plan("").comparisons[1:], focal=[]))
    written(run(references / "newer"))
    here = written(run(tmp_path / "B"))
    status, text = reported([here.folder, "--results", tmp_path], capsys)
    assert status == 0
    assert text.startswith("Reference: older")
    cold = written(run(tmp_path / "C", warmup_requests=0))
    assert reported([cold.folder, "--results", tmp_path], capsys)[1].startswith("Reference: cold")


def test_what_is_missing_is_said_and_status_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No run, no such run, no reference, the reference itself, a record of another kind.
    """
    status, text = reported(["--results", tmp_path], capsys)
    assert (status, "contains no run yet" in text) == (2, True)
    here = written(run(tmp_path / "20260101T000000Z"))
    status, text = reported([tmp_path / "nowhere", "--results", tmp_path], capsys)
    assert (status, "nowhere/manifest.json" in text) == (2, True)
    status, text = reported(["--results", tmp_path], capsys)
    assert (status, "no run to compare with" in text) == (2, True)
    status, text = reported([here.folder, "--reference", here.folder], capsys)
    assert (status, "is the reference itself" in text) == (2, True)
    broken = written(run(tmp_path / "broken", variants=[Variant("netns", "", {})]))
    status, text = reported([here.folder, "--reference", broken.folder], capsys)
    assert (status, "'docker'" in text) == (2, True)
    timeless = run(tmp_path / "timeless")
    first = timeless.trials[0]
    assert first.load is not None
    no_time = structs.replace(first, load=structs.replace(first.load, requests_per_second=0.0))
    timeless = dataclasses.replace(timeless, trials=[no_time, *timeless.trials[1:]])
    status, text = reported([written(timeless).folder, "--reference", here.folder], capsys)
    refused = "trials.jsonl, line 1: Expected `float` >= 1e-09 - at `$.load.requests_per_second`"
    assert (status, f"set aside: {refused}, the value is 0.0" in text) == (0, True)
    assert here.folder is not None
    stored = here.folder / "manifest.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"schema_version": 3}))
    status, text = reported(["--results", tmp_path], capsys)
    assert (status, "schema version 3" in text) == (2, True)


def test_help_states_the_rule_every_field_and_the_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    And a field that is none is refused with those that are.
    """
    text = epilog()
    assert all(f"\n  {name} " in text for name in ALLOWABLE)
    assert all(each.value in text for each in (*Outcome, *Sizes))
    assert "Anderson and Maxwell" in text
    with pytest.raises(SystemExit, match="2"):
        main(["--allow", "seed"])
    refused = capsys.readouterr().err
    assert "'seed'" in refused
    assert all(name in refused for name in ALLOWABLE)
