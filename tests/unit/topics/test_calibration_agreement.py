"""
Agreement: what short loads of thawed deployments are held against.
"""

from __future__ import annotations

import dataclasses

import pytest
from msgspec import structs

from analysis.formatting import percent
from analysis.topics.calibration.agreement import QUESTIONS, agreements, short_against_at_once
from analysis.topics.calibration.section import ASKED, calibration
from experiments.records.trials import AgreementLoad
from tests.unit.reading import rows_of
from tests.unit.samples import findings, load, manifest, side_by_side, trial

SHORT, LONG = 250, 1000


def agreement_load(
    repetition: int, requests: int, beside: int, us: float, *, thawed: bool
) -> AgreementLoad:
    """
    A load of netns without any error.
    """
    return AgreementLoad(
        repetition=repetition,
        variant="netns",
        thawed=thawed,
        beside=beside,
        requests=requests,
        requests_ok=requests,
        started_at=1e9,
        us_per_request=us,
    )


def loads_of(repetitions: int) -> list[AgreementLoad]:
    """
    Short loads take 2 % longer, company 3 %, thawing 1 %; each repetition is slower than the last.
    """
    made = []
    for repetition in range(1, repetitions + 1):
        us = 1000.0 * repetition
        alone, beside = us * 1.02, us * 1.02 * 1.03
        made += [
            agreement_load(repetition, LONG, 0, us, thawed=False),
            agreement_load(repetition, SHORT, 0, alone, thawed=False),
            agreement_load(repetition, SHORT, 4, beside, thawed=False),
            # Twice: the mean of two is what counts.
            agreement_load(repetition, SHORT, 4, beside * 1.01 * 1.1, thawed=True),
            agreement_load(repetition, SHORT, 4, beside * 1.01 / 1.1, thawed=True),
        ]
    return made


def test_each_question_is_answered_within_repetitions() -> None:
    """
    Whatever differs between these.
    """
    found = {each.question: each for each in agreements(loads_of(3))}
    assert list(found) == list(QUESTIONS)
    for question, ratio in {
        "length": 1.02,
        "thawing": 1.01,
        "company": 1.03,
        "all together": 1.02 * 1.03 * 1.01,
    }.items():
        each = found[question]
        assert each.relative.estimate == pytest.approx(ratio - 1)
        assert each.relative.low == pytest.approx(ratio - 1)
        assert (each.variant, each.repetitions, each.short, each.long) == ("netns", 3, SHORT, LONG)


def test_errors_are_no_agreement() -> None:
    """
    A load with them is left out, and so is what needs it.
    """
    loads = [
        structs.replace(each, requests_ok=900) if each.requests == LONG else each
        for each in loads_of(2)
    ]
    assert "thawing" in {each.question for each in agreements(loads)}
    assert "all together" not in {each.question for each in agreements(loads)}
    assert agreements([]) == []


def test_short_loads_are_held_against_the_load_at_once_of_the_same_trial() -> None:
    """
    For the variants that have one.
    """
    made = dataclasses.replace(manifest(), at_once=["netns", "docker"])
    trials = [
        structs.replace(
            side_by_side(block, block, "netns", [1030 * block] * 2), at_once=load(1000 / block)
        )
        for block in (1, 2, 3)
    ]
    found = short_against_at_once(made, [*trials, trial(9, 1, "docker", 250)])
    assert list(found) == ["netns"]
    assert found["netns"].estimate == pytest.approx(0.03)
    assert found["netns"].low == pytest.approx(0.03)


def test_each_question_has_a_row_and_each_variant_a_column() -> None:
    """
    A question that nobody could answer of one variant is a dash there.
    """
    of_docker = [
        structs.replace(each, variant="docker") for each in loads_of(2) if each.requests == SHORT
    ]
    loads = [*loads_of(3), *of_docker]
    rows = rows_of(calibration(findings(manifest(), [], agreement=loads)))
    found = {each.question: each for each in agreements(loads_of(3))}
    assert [row[1] for row in rows] == [percent(found[each].relative) for each in ASKED]
    assert [row[2] == "–" for row in rows] == [True, False, False, True]
    assert all("250" in row[0] for row in rows)
    assert [row[0] for row in rows if "1000" in row[0]] == [rows[0][0], rows[3][0]]
