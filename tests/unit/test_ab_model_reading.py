"""
Whatever a version of ab prints of a random load is read back as it truly was.

The texts are those of the model in ``tests/ab_model``, which knows nothing of the readers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.audit.sources import source_of
from tests.ab_model.counting import Counts, count
from tests.ab_model.events import NOT_CONNECTED, End, Load
from tests.ab_model.printing import PERCENTS, printed
from tests.ab_model.strategies import examples, loads, outputs
from tests.ab_model.versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.records.ab.numbers import Printed
    from experiments.records.ab.output import AbOutput
    from tests.ab_model.versions import Version


@st.composite
def aborted(draw: st.DrawFn) -> tuple[Version, Load]:
    """
    A version that gives up after some requests, and prints no report.
    """
    version = draw(st.sampled_from([version for version in VERSIONS if not version.is_trunk]))
    load = draw(loads(version))
    may_reset = not version.before(2) and draw(st.booleans())
    last = replace(NOT_CONNECTED, end=End.RESET) if may_reset else NOT_CONNECTED
    options = replace(load.options, go_on=False)
    load = replace(load, options=options, requests=(*load.requests, *[last] * 12), late=())
    assume(count(version, load).aborted is not None)
    return version, replace(load, interrupted=False)


def reading(text: str) -> AbOutput:
    """
    The only output in a text.
    """
    (found,) = source_of("x", text.encode()).outputs
    return found


def counts_read(found: AbOutput) -> dict[str, object]:
    """
    Every count of an output, with zero for what it does not say.
    """
    return {
        "done": found.requests_completed,
        "failed": found.requests_failed,
        "connect": found.failed_connect or 0,
        "receive": found.failed_receive or 0,
        "length": found.failed_length or 0,
        "exceptions": found.failed_exceptions or 0,
        "non-2xx": found.responses_non_2xx or 0,
        "kept": found.keep_alive_requests,
        "kept and closed": found.keep_alive_aborts or 0,
    }


def true_counts(load: Load, counts: Counts) -> dict[str, object]:
    """
    The same of the model.
    """
    return {
        "done": counts.done,
        "failed": counts.failed,
        "connect": counts.failed_connect,
        "receive": counts.failed_receive,
        "length": counts.failed_length,
        "exceptions": counts.failed_exceptions,
        "non-2xx": counts.non_2xx,
        "kept": counts.kept_alive if load.options.keep_alive else None,
        "kept and closed": counts.kept_alive_aborts,
    }


@examples(60)
@given(outputs())
def test_counts_are_read_back(case: tuple[Version, Load]) -> None:
    """
    Of every version, from a terminal's text and from standard output alone.
    """
    version, load = case
    counts = count(version, load)
    for errors in (True, False):
        text = printed(version, load, errors=errors)
        found = reading(text)
        assert counts_read(found) == true_counts(load, counts)
        # With a heartbeat, nothing tells it before the first one, nor in standard output alone.
        shown = "..." in text or "Completed" in text
        assert found.interrupted == (load.interrupted and shown)
        assert not found.unreadable
        assert not found.other


@examples(60)
@given(outputs())
def test_texts_and_bytes_are_read_back(case: tuple[Version, Load]) -> None:
    """
    A long of 32 bits holds two gigabytes; beyond it, a number of bytes is not read.
    """
    version, load = case
    counts, found = count(version, load), reading(printed(version, load))
    assert found.version is not None
    assert version.headline.startswith(found.version)
    assert found.server_software == counts.server
    assert (found.server_hostname, found.document_path) == (load.host, load.path)
    assert found.concurrency == load.options.concurrency
    lengths = (found.document_length_variable, found.document_length)
    assert lengths in {(False, counts.document_length), (True, None)}
    assert found.bytes_transferred == counts.bytes_read
    assert found.bytes_html == counts.bytes_html
    assert found.bytes_sent == (counts.bytes_posted if load.options.posted_bytes else None)


def close(number: Printed | None, truth: float, more: float = 0.0) -> bool:
    """
    Whether a printed number stands for the truth; ``more`` is what is cut off before it is printed.
    """
    assert number is not None
    return abs(number.value - truth) <= (number.half_unit + more) * (1 + 1e-6) + 1e-6 * truth


@examples(60)
@given(outputs())
def test_times_are_read_back(case: tuple[Version, Load]) -> None:
    """
    Each percentile and each limit of a row, within the unit in which the version prints.
    """
    version, load = case
    counts, found = count(version, load), reading(printed(version, load))
    cut = 0.5 if version.before(2, 2, 9) else 0.0
    total = sorted(request.total_us / 1e3 for request in counts.counted)
    if not version.before(1, 3, 20) and len(total) > 1:
        assert sorted(found.percentiles_ms) == sorted(PERCENTS)
        for percent in PERCENTS:
            truth = total[min(len(total) * percent // 100, len(total) - 1)]
            assert close(found.percentiles_ms[percent], truth, cut)
    if len(total) > 1 and not (version.before(2, 0, 51) and load.options.no_deviations):
        _limits(found, "total", total, cut)
        _limits(found, "connect", [r.connect_us / 1e3 for r in counts.counted], cut)


def _limits(found: AbOutput, row: str, times_ms: Sequence[float], cut: float) -> None:
    if row not in found.connection_times_ms:
        # With -S, two columns run together from ten seconds on.
        assert max(times_ms) > 9999
        return
    assert close(found.time_ms(row, "min"), min(times_ms), cut)
    assert close(found.time_ms(row, "max"), max(times_ms), cut)
    mean = sum(times_ms) / len(times_ms)
    assert close(found.time_ms(row, "mean"), mean, 3 * cut + 0.001)


@examples(60)
@given(outputs())
def test_rates_are_read_back(case: tuple[Version, Load]) -> None:
    """
    Also the time of versions that print it without zeros, and rates of single precision.
    """
    version, load = case
    found = reading(printed(version, load))
    duration_s = load.duration_us / 1e6
    assert close(found.duration_s, duration_s, 0.0005)


@examples(30)
@given(aborted())
def test_an_aborted_run_is_no_result_and_says_why(case: tuple[Version, Load]) -> None:
    """
    In a terminal's text, where standard error is; 1.3 does not say how far it came.
    """
    version, load = case
    counts, found = count(version, load), reading(printed(version, load))
    assert found.requests_completed is None
    assert not found.interrupted
    done = counts.done if counts.done and not version.before(2) else None
    assert found.aborted_after_requests == done
    assert found.failure is not None
    assert "Connection" in found.failure
