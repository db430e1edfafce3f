"""
The audit of the userland's real ab is held to what a misbehaving server knows.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from analysis.audit.account import account_of
from analysis.audit.findings import Severity
from analysis.audit.reliability import reliability
from analysis.audit.sources import source_of
from experiments.lab.lab import Lab
from experiments.lab.mounts import bind
from experiments.paths import PROJECT, PROJECT_IN_LAB
from tests.lab import misbehaving
from tests.lab.misbehaving import Schedule

if TYPE_CHECKING:
    from experiments.lab.userland import Userland
    from experiments.records.ab.output import AbOutput

SEEDS = range(60)
WELL = {misbehaving.GOOD, misbehaving.STALL}
NOTHING = {misbehaving.NOTHING, misbehaving.UNREAD, misbehaving.RESET}
ERRORS = {misbehaving.ERROR, misbehaving.ALIKE}


@pytest.fixture(scope="module")
def loads(
    built: Userland, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Schedule, AbOutput]]:
    """
    Every schedule that was carried out, with what ab printed, as the audit reads it.
    """
    directory = tmp_path_factory.mktemp("loads")
    command = ["python3", f"{PROJECT_IN_LAB}/tests/lab/misbehaving.py"]
    command += [str(SEEDS[0]), str(SEEDS[-1])]
    mounts = [bind(PROJECT, PROJECT_IN_LAB)]
    with (
        (directory / "lines").open("wb") as lines,
        Lab(built.root, directory / "labs", command, mounts=mounts, stdout=lines) as lab,
    ):
        assert lab.wait(600) == 0
    printed = (directory / "lines").read_text().splitlines()
    made = [Schedule(**json.loads(line)) for line in printed]
    return [(one, source_of("ab", one.text.encode()).outputs[-1]) for one in made]


def finished(loads: list[tuple[Schedule, AbOutput]]) -> list[tuple[Schedule, AbOutput]]:
    """
    Those of which ab printed a result.
    """
    return [(made, output) for made, output in loads if output.requests_completed is not None]


def number(done: list[str], kinds: set[str]) -> int:
    """
    How often the server did one of these things.
    """
    return sum(action in kinds for action in done)


def concurrency(schedule: Schedule) -> int:
    """
    The requests that can be under way at once.
    """
    return int(schedule.options[schedule.options.index("-c") + 1])


def test_ab_gives_up_only_as_the_server_makes_it(loads: list[tuple[Schedule, AbOutput]]) -> None:
    """
    A connection reset without -r ends it; most schedules end with a result.
    """
    assert len(loads) == len(SEEDS)
    assert len(finished(loads)) > len(SEEDS) / 2
    for schedule, output in loads:
        if output.requests_completed is None:
            assert output.failure, schedule
            assert (output.aborted_after_requests or 0) <= len(schedule.done), schedule


def test_the_range_holds_the_number_of_good_answers(
    loads: list[tuple[Schedule, AbOutput]],
) -> None:
    """
    An answer without a body, where the others have one, may count as either.
    """
    for schedule, output in finished(loads):
        _, finding = reliability(output)
        good = number(schedule.done, WELL)
        empty = number(schedule.done, {misbehaving.EMPTY})
        # What a time limit cuts off, the server has answered and ab does not count.
        under_way = concurrency(schedule) if "-t" in schedule.options else 0
        assert finding.values["good_at_least"] <= good + empty, (schedule, finding)
        assert finding.values["good_at_most"] >= good - under_way, (schedule, finding)
        account = account_of(output)
        if account.reference != schedule.body_bytes // 2:
            # The reference is not the length of an answer that was cut short.
            least = account.good_if_first_is_whole.least
            assert least <= good + empty, (schedule, finding)
        if finding.severity is Severity.OK:
            assert good == output.requests_completed or under_way, (schedule, finding)


def test_no_word_contradicts_the_server(loads: list[tuple[Schedule, AbOutput]]) -> None:
    """
    What is said of the first response, of error pages and of silence is what happened.
    """
    seen = set()
    for schedule, output in finished(loads):
        finding, _ = reliability(output)
        cause, done = finding.values["cause"], schedule.done
        seen.add(cause)
        if cause == "first_response":
            assert done[0] in ERRORS, (schedule, finding)
        if cause == "first_empty":
            assert _first_without_a_body(schedule), (schedule, finding)
        if cause == "error_answers":
            assert output.failed_length == number(done, ERRORS), (schedule, finding)
        if cause == "unanswered":
            (silent,) = re.findall("([0-9]+) requests? received nothing", finding.text)
            assert int(silent) == number(done, NOTHING), (schedule, finding)
    assert seen >= {"none", "not_compared", "varying", "unclear", "unanswered", "first_empty"}


def _first_without_a_body(schedule: Schedule) -> bool:
    """
    Whether one of the first requests got no body, in any order in which ab may have seen them.
    """
    bodies = dict.fromkeys((*WELL, misbehaving.ALIKE), schedule.body_bytes)
    half = schedule.body_bytes // 2
    bodies |= {misbehaving.SHORT: half, misbehaving.RESET_IN_BODY: half}
    bodies |= {misbehaving.ERROR: schedule.error_bytes}
    with_body = [at for at, action in enumerate(schedule.done) if bodies.get(action)]
    first = (with_body + [len(schedule.done)] * 2)[1] + concurrency(schedule)
    return any(not bodies.get(action) for action in schedule.done[:first])
