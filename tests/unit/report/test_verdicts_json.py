"""
The verdicts as data: every comparison and step, by a schema, the same to the byte.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from analysis.report.verdicts_json import Verdicts, verdicts_json
from analysis.schema import SCHEMAS, schema
from tests.unit.samples import failed_trial, findings, manifest
from tests.unit.topics.samples import LADDER, failing, pair_of, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from experiments.records.manifest import Manifest
    from experiments.records.trials import TrialRecord

NAMES = [*LADDER, "netns-again"]
MEASURED = ("relative", "us_per_request", "baseline_us")
TOLD = ("p_value", "detectable", "blocks_needed")


def read(made: Manifest, trials: list[TrialRecord]) -> dict[str, Any]:
    """
    The file as a program reads it that takes no number which JSON does not have.
    """

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    whole: dict[str, Any] = json.loads(verdicts_json(findings(made, trials)), parse_constant=refuse)
    return whole


def numbers_in(content: object) -> Iterator[float]:
    """
    Every number with a fraction, wherever it is.
    """
    if isinstance(content, float):
        yield content
    for each in content.values() if isinstance(content, dict) else []:
        yield from numbers_in(each)
    for each in content if isinstance(content, list) else []:
        yield from numbers_in(each)


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """
    Of a run with comparisons, a control, a ladder and a whole.
    """
    return read(*run_of(NAMES))


def test_every_comparison_step_and_whole_is_there(whole: dict[str, Any]) -> None:
    """
    In the order of the declarations.
    """
    made, _ = run_of(NAMES)
    assert [each["name"] for each in whole["comparisons"]] == [
        each.name for each in made.comparisons
    ]
    assert [
        (each["effect"]["baseline"], each["effect"]["treatment"]) for each in whole["steps"]
    ] == [pair for ladder in made.ladders for pair in ladder.pairs()]
    assert [each["name"] for each in whole["wholes"]] == [each.name for each in made.wholes]
    assert (whole["run"], whole["state"], whole["margin"]) == (made.run, made.state, made.margin)
    assert whole["created_at"] == made.created_at


def test_a_comparison_says_what_it_is_for_and_what_came_out(whole: dict[str, Any]) -> None:
    """
    Its role, whether it is focal or A/A, and its verdict as a word.
    """
    matched, host, twin = whole["comparisons"]
    assert (matched["role"], matched["focal"], matched["control"]) == ("matched", True, False)
    assert (host["role"], host["focal"], host["control"]) == ("", False, False)
    assert twin["control"]
    words = [each["effect"]["verdict"] for each in whole["comparisons"]]
    assert words == ["slower", "faster", "equivalent"]


def test_an_effect_has_its_numbers_with_their_intervals(whole: dict[str, Any]) -> None:
    """
    Those of the findings, to six digits.
    """
    (found, *_) = findings(*run_of(NAMES)).comparisons
    assert found.difference is not None
    effect = whole["comparisons"][0]["effect"]
    assert (effect["blocks"], effect["rounds"]) == (4, 16)
    assert effect["good_shares"] == [1.0, 1.0]
    for name, interval in (
        ("relative", found.difference.relative["us_per_request"]),
        ("us_per_request", found.difference.us_per_request),
        ("baseline_us", found.difference.baseline_us),
    ):
        assert effect[name] == pytest.approx(dataclasses.asdict(interval), rel=1e-5)
    assert effect["p_value"] == pytest.approx(found.verdict.p_value, rel=1e-4)


def test_a_step_says_which_factor_changes_and_how(whole: dict[str, Any]) -> None:
    """
    Both of its levels, on its ladder.
    """
    runtime, network = whole["steps"]
    assert network["ladder"] == "steps"
    assert (network["factor"], network["change"]) == ("network", "bridge → host")
    assert (runtime["effect"]["verdict"], network["effect"]["verdict"]) == ("slower", "faster")


def test_what_the_steps_leave_is_the_whole_less_their_sum(whole: dict[str, Any]) -> None:
    """
    In microseconds.
    """
    (left,) = whole["wholes"]
    whole_us, steps_us = left["whole_us"]["estimate"], left["steps_us"]["estimate"]
    assert left["unexplained_us"]["estimate"] == pytest.approx(whole_us - steps_us, abs=0.01)
    assert left["ladders"] == ["steps"]


def test_what_is_not_comparable_has_no_difference() -> None:
    """
    But both shares of good answers, because errors are quick.
    """
    made, trials = run_of(NAMES)
    found = read(made, failing(trials, "docker"))
    for each in (found["comparisons"][0], found["steps"][0]):
        effect = each["effect"]
        assert effect["verdict"] == "not comparable"
        assert [effect[name] for name in (*MEASURED, *TOLD)] == [None] * 6
        assert effect["good_shares"] == [1.0, 0.9]
        assert effect["blocks"] == 4


def test_what_no_block_has_both_of_has_nothing() -> None:
    """
    And is there all the same.
    """
    made, trials = run_of(["netns", "docker"])
    (matched,) = read(made, trials[::2])["comparisons"]
    effect = matched["effect"]
    assert (effect["verdict"], effect["blocks"], effect["rounds"]) == ("cannot tell", 0, 0)
    assert [effect[name] for name in (*MEASURED, *TOLD, "good_shares")] == [None] * 7


def test_one_block_has_an_estimate_and_no_interval() -> None:
    """
    N = 1 supports no p-value.
    """
    (matched,) = read(manifest(), pair_of([1.5]))["comparisons"]
    relative = matched["effect"]["relative"]
    assert relative == {"estimate": pytest.approx(0.5), "low": None, "high": None}
    assert matched["effect"]["p_value"] is None


@pytest.mark.parametrize(
    "run",
    [
        run_of(NAMES),
        run_of(NAMES, block_count=1),
        (run_of(NAMES)[0], failing(run_of(NAMES)[1], "docker")),
        (manifest("interrupted"), [failed_trial(1, 1, "docker")]),
        (dataclasses.replace(manifest(), comparisons=[]), []),
    ],
    ids=["whole", "one block", "errors", "failed", "empty"],
)
def test_it_fits_the_committed_schema(run: tuple[Manifest, list[TrialRecord]]) -> None:
    """
    Whatever a run has or lacks; the schema is the one that the types make.
    """
    committed = json.loads((SCHEMAS / "verdicts.schema.json").read_text(encoding="utf-8"))
    assert committed == schema(Verdicts)
    assert list(Draft202012Validator(committed).iter_errors(read(*run))) == []


def test_the_schema_refuses_what_is_damaged(whole: dict[str, Any]) -> None:
    """
    A verdict that is a number, and an effect without its shares.
    """
    validator = Draft202012Validator(schema(Verdicts))
    for name, value in (("verdict", 1), ("good_shares", [1.0]), ("relative", 0.5)):
        damaged = json.loads(json.dumps(whole))
        damaged["comparisons"][0]["effect"][name] = value
        assert list(validator.iter_errors(damaged))


def test_the_same_run_gives_the_same_bytes() -> None:
    """
    And no more digits than are the same on every machine.
    """
    run = run_of(NAMES)
    text = verdicts_json(findings(*run))
    assert text == verdicts_json(findings(*run))
    assert text.endswith("}\n")
    whole = json.loads(text) | {"created_at": None}
    assert all(float(f"{number:.6g}") == number for number in numbers_in(whole))
