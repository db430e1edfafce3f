"""
Numbers that people rewrite are read as what they are, or not at all.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.audit.sources import source_of
from experiments.records.ab.numbers import read_count, read_decimal
from tests.unit.test_audit import PUBLISHED, reading

SEPARATORS = (
    " '_,\N{NO-BREAK SPACE}\u202f\u2009\N{RIGHT SINGLE QUOTATION MARK}"
    "\N{ACUTE ACCENT}\N{PRIME}\N{MODIFIER LETTER APOSTROPHE}"
)


def changed(line: str, value: str) -> str:
    """
    The published output with another value in the line that begins so.
    """
    lines = PUBLISHED.splitlines()
    (number,) = [number for number, each in enumerate(lines) if each.strip().startswith(line)]
    lines[number] = f"{line}: {value}"
    return "\n".join(lines) + "\n"


@given(st.integers(1000, 10**9), st.sampled_from(SEPARATORS))
def test_separators_of_thousands_are_taken_off(number: int, separator: str) -> None:
    """
    Counts, rates and times are the same numbers, whoever groups their digits.
    """
    grouped = f"{number:,}".replace(",", separator)
    (counted,) = source_of("x", changed("HTML transferred", f"{grouped} bytes").encode()).outputs
    assert counted.bytes_html == number
    text = changed("Requests per second", f"{grouped}.25 [#/sec] (mean)")
    (rated,) = source_of("x", text.encode()).outputs
    assert rated.requests_per_second is not None
    assert rated.requests_per_second.value == number + 0.25


@given(st.integers(1000, 10**9), st.sampled_from(SEPARATORS.replace("_", "").replace(",", "")))
def test_clean_lines_have_no_separators(number: int, separator: str) -> None:
    """
    A number that goes on after a space or a sign is not read as its first digits.
    """
    grouped = f"{number:,}".replace(",", separator)
    assert read_count(grouped) is None
    assert read_decimal(f"{grouped}.25 [ms]") is None


@pytest.mark.parametrize("separator", ["'", ",", "\N{RIGHT SINGLE QUOTATION MARK}"])
def test_separators_in_tables_are_taken_off(separator: str) -> None:
    """
    A comma before three digits is none of decimals where ab prints whole milliseconds.
    """
    text = PUBLISHED
    for number in ("17854", "18093", "19310", "1707"):
        text = text.replace(number, f"{int(number):,}".replace(",", separator))
    assert text != PUBLISHED
    assert source_of("x", text.encode()).outputs == (reading(),)
    kinds = PUBLISHED.replace("Length: 996", f"Length: 1{separator}996")
    (found,) = source_of("x", kinds.encode()).outputs
    assert found.failed_length == 1996


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Complete requests", "10 00"),
        ("Complete requests", "10  20"),
        ("Complete requests", "10/200"),
        ("Requests per second", "54.07   29.21"),
        ("Complete requests", "1k"),
        ("Total transferred", "2 MB"),
        ("Requests per second", "2.499 [#/sec]"),
        ("Requests per second", "2.5 k"),
        ("Transfer rate", "2.03 MB/s"),
        ("Transfer rate", "2.03 [Mbytes/sec] received"),
        ("Time taken for tests", "34231 ms"),
        ("Time taken for tests", "2 minutes"),
    ],
)
def test_what_may_be_another_number_is_refused_by_name(line: str, value: str) -> None:
    """
    Other units and rounded thousands are not read.
    """
    (found,) = source_of("x", changed(line, value).encode()).outputs
    assert found.labelled(line) is None
    assert line in found.unreadable


@pytest.mark.parametrize(
    ("line", "value", "read"),
    [
        ("Failed requests", "0 (0 %)", 0),
        ("Failed requests", "996 # bad", 996),
        ("Requests per second", "2,499 [#/sec]", 2499.0),
        ("Time taken for tests", "2,000 seconds", 2.0),
        ("Time taken for tests", "34.231 s", 34.231),
        ("Transfer rate", "82.16 KB/s", 82.16),
    ],
)
def test_remarks_and_other_spellings_change_nothing(line: str, value: str, read: float) -> None:
    """
    What follows the number is not of it, if it is no other unit.
    """
    (found,) = source_of("x", changed(line, value).encode()).outputs
    number = found.labelled(line)
    assert getattr(number, "value", number) == read
