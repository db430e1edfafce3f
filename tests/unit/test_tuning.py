"""
The search for the best configuration, as a report tells it.
"""

from __future__ import annotations

import dataclasses
import math

from analysis.sections.tuning import tuning
from tests.unit.samples import manifest

BASE = {"runtime": "container", "server": "werkzeug", "stdio": "docker-json-file"}
FOUND = {**BASE, "server": "gunicorn"}


def text_of(found: dict[str, str], **others: dict[str, str]) -> str:
    """
    The section of a run that searched, found this, and measured others too.
    """
    levels = {"docker": BASE, "tuned": found, **others}
    made = dataclasses.replace(
        manifest(),
        variants=[{"name": name, "about": name, "levels": own} for name, own in levels.items()],
        search={
            "name": "tuned",
            "start": "docker",
            "levels": found,
            "outcomes": [
                {
                    "change": {"server": "gunicorn"},
                    "log_ratios": [math.log(0.8), math.log(1.1)],
                    "kept": True,
                    "note": "",
                }
            ],
        },
    )
    return tuning(made)


def test_what_was_found_is_told_by_what_it_changes() -> None:
    """
    And what each change did in each of its pairs.
    """
    text = text_of(FOUND)
    assert "`tuned` is `docker` with server = gunicorn." in text
    assert "| server = gunicorn | -20.0 %, +10.0 %" in text
    assert "noise" not in text
    assert "`tuned` is `docker` with nothing changed." in text_of(BASE)


def test_what_was_found_may_be_known_already() -> None:
    """
    Then the two differ by nothing, whatever their rows say.
    """
    text = text_of(FOUND, all=FOUND)
    assert "That is what `all` is too, so what the two are found to differ by is noise." in text


def test_without_a_search_there_is_no_section() -> None:
    """
    Nor of one that was never made.
    """
    assert tuning(manifest()) == ""
