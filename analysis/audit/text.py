"""
From bytes to the lines of each output of ab in them, whatever else they hold.
"""

from __future__ import annotations

import codecs
import re

LARGEST_BYTES = 10_000_000
LARGEST_LINE = 400
LARGEST_OUTPUTS = 200
LARGEST_SAMPLE = 100_000

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
QUOTING = " \t>|*#"
"""What mails, notes and tables put in front of a line."""

HEADLINE = "This is ApacheBench"
FIRST_FIELD = "Server Software:"
WHOLE_ENDINGS = (")", "seconds", "bytes", "received", ".")
"""How a line of ab ends that is whole although no line end follows."""

MARKS = {
    "JSON": r"\A\s*[{\[]\s*[\"{\[]",
    "wrk": r"(?m)^Running .* test @ ",
    "h2load": r"(?m)^starting benchmark\.\.\.|^finished in .*req/s",
    "hey": r"(?m)^Status code distribution:|^Summary:\s*$",
    "siege": r"(?m)^[ \t]*(?:\*\* SIEGE|Transactions:\s+\d+ hits)",
    "vegeta": r"(?m)^Requests\s+\[total, rate",
    "k6": r"(?m)^[ \t]*http_reqs?[._a-z]*:? ",
    "-w": r"(?i)<t[hd][^>]{0,200}>\s{0,20}Server Software:",
    "-e": r"\APercentage served,Time in ms",
    "-g": r"\Astarttime\tseconds\tctime",
}
KINDS = {
    "JSON": "JSON",
    "-w": "ab's HTML (-w); its plain text is what can be audited",
    "-e": "ab's file of percentiles (-e); the text that ab printed beside it is needed",
    "-g": "ab's file for gnuplot (-g); the text that ab printed beside it is needed",
}


def decode(data: bytes) -> str:
    """
    Text from bytes in UTF-8 or, as some shells redirect, UTF-16; what is neither is replaced.
    """
    encoding = "utf-8-sig"
    sample = data[:400]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif sample[1::2].count(0) > len(sample) // 4:
        encoding = "utf-16-le"
    elif sample[::2].count(0) > len(sample) // 4:
        encoding = "utf-16-be"
    return ESCAPES.sub("", data.decode(encoding, errors="replace").replace("\0", ""))


def clean(text: str, length: int = 80) -> str:
    """
    Text from outside, safe to show: printable, and not longer than a line.
    """
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: length + 1])
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def whole_lines(text: str) -> list[str]:
    """
    The lines, without quoting, and without a last one that may have been cut in a number.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")) and not lines[-1].endswith(WHOLE_ENDINGS):
        lines.pop()
    shown = (line[:LARGEST_LINE].strip().lstrip(QUOTING) for line in lines if not line.isspace())
    return [line for line in shown if line]


def outputs(lines: list[str]) -> list[list[str]]:
    """
    The lines of each output, where several follow one another; at most LARGEST_OUTPUTS.
    """
    found: list[list[str]] = [[]]
    has_fields = False
    for line in lines:
        starts_fields = line.startswith(FIRST_FIELD)
        if line.startswith(HEADLINE) or (starts_fields and has_fields):
            if len(found) > LARGEST_OUTPUTS:
                break
            found.append([])
            has_fields = False
        has_fields = has_fields or starts_fields
        found[-1].append(line)
    return found


def what_else(text: str) -> str:
    """
    What text that is not of ab looks like, as the end of a sentence.
    """
    text = text.strip()
    if not text:
        return "it is empty"
    for tool, mark in MARKS.items():
        if re.search(mark, text[:LARGEST_SAMPLE]):
            return f"it looks like {KINDS.get(tool, f'the output of {tool}')}"
    return f"it begins “{clean(text[:LARGEST_LINE].splitlines()[0].strip(), 60)}”"
