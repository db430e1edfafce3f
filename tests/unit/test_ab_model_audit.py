"""
No genuine output is accused, and what is said of its tail is true of the load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.audit.checks import audit
from analysis.audit.findings import Severity
from analysis.audit.sources import source_of
from tests.ab_model.counting import count
from tests.ab_model.events import End, Load, Options, Request, scheduled
from tests.ab_model.printing import printed
from tests.ab_model.strategies import examples, outputs
from tests.ab_model.versions import VERSIONS

if TYPE_CHECKING:
    from analysis.audit.findings import Finding
    from tests.ab_model.versions import Version


@st.composite
def tailed(draw: st.DrawFn, *, one_stall: bool) -> tuple[Version, Load]:
    """
    A load with slow requests: in one stall of all connections, or one now and then.
    """
    concurrency, rounds = draw(st.integers(1, 20)), draw(st.integers(2, 60))
    fast_us, slow_us = draw(st.integers(500, 60_000)), draw(st.integers(100_000, 9_000_000))
    every, stalled = draw(st.integers(2, 40)), draw(st.integers(0, rounds - 1))
    made = []
    for at in range(concurrency * rounds):
        # The fast ones of a round end together, so that a round is what one stall delays.
        slow = at // concurrency == stalled if one_stall else at % every == every // 2
        total_us = fast_us + at % 3 + slow * slow_us
        made.append(Request(End.CLOSED, body_bytes=16, wait_us=total_us // 2, total_us=total_us))
    placed = scheduled(made, concurrency)
    starts = [request.start_us for request in placed if request.total_us > slow_us]
    assume(starts and (one_stall or max(starts) > min(starts) + slow_us))
    options = Options(asked=len(made), concurrency=concurrency, quiet=True)
    return draw(st.sampled_from(VERSIONS)), Load(options, tuple(placed), placed[-1].end_us + 50)


def audited(text: str, check: str) -> list[Finding]:
    """
    The findings of one check on the only output in a text.
    """
    (output,) = source_of("x", text.encode()).outputs
    return [finding for finding in audit(output) if finding.check == check]


@examples(60)
@given(outputs())
def test_no_genuine_output_fails_an_identity(case: tuple[Version, Load]) -> None:
    """
    Whatever version printed it, and whether or not its headline is there.
    """
    version, load = case
    text = printed(version, load)
    for shown in (text, text[text.index("Server Hostname") :]):
        assert audited(shown, "identity") == []
        assert all(f.severity is Severity.OK for f in audited(shown, "identities"))


@examples(60)
@given(outputs())
def test_the_tail_is_as_long_as_is_said(case: tuple[Version, Load]) -> None:
    """
    The share of the mean that lies above the median, and the number of slow requests.
    """
    version, load = case
    counted = count(version, load).counted
    times_ms = sorted(request.total_us / 1e3 for request in counted)
    (finding,) = audited(printed(version, load), "tail")
    values = finding.values
    if values.get("reading") is None:
        return
    mean, median = sum(times_ms) / len(times_ms), times_ms[len(times_ms) // 2]
    assert values["share_in_tail"] <= 1 - median / mean + 1e-6, finding.text
    if "slow_from_ms" in values:
        from_ms = values["slow_from_ms"]
        assert values["slow_at_least"] <= sum(time >= from_ms for time in times_ms), finding.text
        assert values["slow_at_most"] >= sum(time > from_ms + 1 for time in times_ms), finding.text
        slow = [request for request in counted if request.total_us > 1e3 * (from_ms + 1)]
        connecting = all(2 * request.connect_us >= request.total_us for request in slow)
        assert values["reading"] != "connecting" or connecting, finding.text


@examples(40)
@given(tailed(one_stall=True))
def test_one_stall_is_not_called_several(case: tuple[Version, Load]) -> None:
    """
    All connections stood still once.
    """
    (finding,) = audited(printed(*case), "tail")
    assert finding.values.get("reading") != "several", finding.text


@examples(40)
@given(tailed(one_stall=False))
def test_slow_requests_one_by_one_are_not_called_one_stall(case: tuple[Version, Load]) -> None:
    """
    Single requests were slow, one after the other.
    """
    (finding,) = audited(printed(*case), "tail")
    assert finding.values.get("reading") not in {"stall", "single"}, finding.text
