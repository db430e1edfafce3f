"""
Errors are no speed: what every reader of a run says of arms whose answers were bad.
"""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from rich.console import Console

from analysis.report.trials_csv import trials_csv
from analysis.report.verdicts_json import verdicts_json
from analysis.topics.comparisons.section import verdict_lines
from experiments.declare.variants import MATCHED, Comparison
from experiments.plan.stopping import Rule
from experiments.records.manifest import Candidate
from experiments.records.trials import TrialRecord, are_comparable, good_answers
from experiments.run.progress import Progress
from experiments.run.search import best_of, judge
from tests.unit.samples import REQUESTS, findings, manifest, report, side_by_side

BAD = 232
"""Of 250 answers of each load, as of a service that crashes under it; it then looks fast."""

PAIR = ("netns", "docker")

BLOCKS, ROUNDS = 4, 2


def trials_of(bad: dict[str, int]) -> list[TrialRecord]:
    """
    Blocks in which Docker takes 21 % less time, with so many bad answers a load.
    """
    return [
        side_by_side(
            2 * block + index,
            block,
            name,
            [us * (1 + block / 100)] * ROUNDS,
            position=1 + index,
            non_2xx=bad.get(name, 0),
        )
        for block in range(1, BLOCKS + 1)
        for index, (name, us) in enumerate(zip(PAIR, (2000, 1580), strict=True))
    ]


@pytest.mark.parametrize(
    ("bad", "shares"),
    [
        ({"docker": BAD}, ("100.00", "7.20")),
        ({"netns": BAD}, ("7.20", "100.00")),
        # Each arm fails in its own way, so equally many errors are no equal work.
        ({"netns": BAD, "docker": BAD}, ("7.20", "7.20")),
        ({"docker": 1}, ("100.00", "99.60")),
    ],
)
def test_no_reader_tells_a_time_of_bad_answers(
    bad: dict[str, int], shares: tuple[str, str]
) -> None:
    """
    All say that the arms are not comparable; the sentences say whose answers were how good.
    """
    made, trials = manifest(blocks=BLOCKS), trials_of(bad)
    number = BLOCKS * ROUNDS * REQUESTS
    why = (
        f"not comparable: {shares[0]} % of the baseline's {number} answers were good, and "
        f"{shares[1]} % of the treatment's {number} answers; time is compared from 99.9 %"
    )
    found = findings(made, trials)
    (sentence,) = verdict_lines(found)
    assert sentence == f"**matched** (docker against netns): {why}."
    text = report(made, trials)
    assert f"**Matched** is {why}." in text
    assert not re.search(r"(faster|slower) by|(more|less) time per request|\[[-+]\d", text)
    (told,) = json.loads(verdicts_json(found))["comparisons"]
    effect = told["effect"]
    assert (effect["verdict"], effect["relative"], effect["p_value"]) == (
        *("not comparable", None),
        None,
    )
    rows = csv.DictReader(io.StringIO(trials_csv(made, trials)))
    good = {row["variant"]: int(row["requests_ok"]) for row in rows}
    assert good == {name: ROUNDS * (REQUESTS - bad.get(name, 0)) for name in PAIR}

    out = io.StringIO()
    live = Progress(Rule(1, []), list(PAIR), Console(file=out, soft_wrap=True))
    for trial in trials:
        live.finished(trial)
    live.interim(BLOCKS, [Comparison("matched", "a pair", *PAIR, role=MATCHED)])
    assert out.getvalue().rstrip().endswith(f"matched {why}")

    candidate = Candidate({}, {})
    judge(candidate, *trials[:2])
    assert candidate.note.startswith("not comparable: ")
    assert best_of([candidate]) is None


def test_good_answers_are_told_in_time() -> None:
    """
    The same run without an error; otherwise no test above could fail.
    """
    made, trials = manifest(blocks=BLOCKS), trials_of({})
    text = report(made, trials)
    assert "less time per request" in text
    assert "faster by" in verdict_lines(findings(made, trials))[0]
    assert "not comparable: " not in text


def test_the_margin_is_one_answer_in_a_thousand_of_either_arm() -> None:
    """
    A share just below is not shown as one within.
    """
    assert are_comparable([1.0, 0.999])
    assert are_comparable([0.999, 0.999])
    assert not are_comparable([1.0, 0.998999])
    assert not are_comparable([0.998, 0.998])
    assert "99.89 % of the treatment's 10 answers" in good_answers([1, 0.998999], [10, 10])
