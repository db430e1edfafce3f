"""
The search for the best configuration, as a report tells it.
"""

from __future__ import annotations

import dataclasses
import math

import pytest

from analysis.topics.tuning.section import tuning
from experiments.declare.variants import Search, Variant
from experiments.records.manifest import Candidate, Found, SearchStep
from tests.unit.reading import number_of, rows_of
from tests.unit.samples import findings, manifest

BASE = {"runtime": "container", "server": "werkzeug", "stdio": "docker-json-file"}
FOUND = {**BASE, "server": "gunicorn"}


def candidate(
    change: dict[str, str], *times: float, good_share: float = 1.0, note: str = ""
) -> Candidate:
    """
    A change that takes so many times as long as what was best so far, a value for each block.
    """
    logs = [math.log(each) for each in times]
    return Candidate(change, {**BASE, **change}, logs, good_share, note)


def text_of(found: dict[str, str], *more: Candidate, **others: dict[str, str]) -> str:
    """
    The section of a run that searched, found this, and measured others too.
    """
    levels = {"docker": BASE, "tuned": found, **others}
    gunicorn = candidate({"server": "gunicorn"}, 0.8, 0.9)
    made = dataclasses.replace(
        manifest(),
        variants=[Variant(name, name, own) for name, own in levels.items()],
        search=Search("tuned", "", "docker", ()),
        found=Found(
            found,
            [
                SearchStep([gunicorn, *more], chosen=0),
                SearchStep([candidate({"stdio": "docker-none"}, 1.1)]),
            ],
        ),
    )
    return tuning(findings(made, []))


def test_what_was_found_is_told_by_what_it_changes() -> None:
    """
    And what each candidate of each step took against what was best so far.
    """
    text = text_of(FOUND)
    assert "`tuned` is `docker` with server = gunicorn." in text
    assert text.index("Step 1:") < text.index("server = gunicorn") < text.index("Step 2:")
    gunicorn, stdio = rows_of(text)
    assert number_of(gunicorn[1]) == pytest.approx(-15, abs=0.2)
    assert gunicorn[2:] == ["2", "kept"]
    assert stdio[2:] == ["1", "not kept"]
    assert "nothing changed" not in text
    assert "`tuned` is `docker` with nothing changed." in text_of(BASE)


def test_what_did_not_answer_well_or_at_all_has_no_time() -> None:
    """
    But the reason.
    """
    why = "not comparable: 90.00 % of its answers were good, and 100.00 % of the other's"
    bad = candidate({"network": "host"}, 0.5, 0.5, good_share=0.9, note=why)
    never = candidate({"workers": "9"}, good_share=0.0, note="its trials failed")
    found = rows_of(text_of(FOUND, bad, never))
    assert ["network = host", "not comparable", "0", why] in found
    assert ["workers = 9", "–", "0", "its trials failed"] in found


def test_what_was_found_may_be_known_already() -> None:
    """
    Then the two differ by nothing, whatever their rows say.
    """
    assert "`all`" in text_of(FOUND, all=FOUND)
    assert "`all`" not in text_of(FOUND, all=BASE)


def test_without_a_search_there_is_no_section() -> None:
    """
    Nor of one that was never made.
    """
    assert tuning(findings(manifest(), [])) == ""
