"""
Text without what terminals, web pages and log files put into it; its lines stay lines.
"""

from __future__ import annotations

import html
import re

ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])"
    # An escape character that was lost, or printed.
    r"|(?:\^\[|\N{SYMBOL FOR ESCAPE}|\\(?:e|033|x1b|u001b))?\[[0-9]{1,3}(?:;[0-9]{1,3})*[mK]"
)
SPACES = dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\u202f\u2007\u2009\u3000"), " ")
NOTHING = dict.fromkeys(map(ord, "\0\ufeff\u200b\u200c\u200d\u2060\N{SOFT HYPHEN}"), "")
SIGNS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-") | {
    ord("\N{FULLWIDTH COLON}"): ":"
}
LETTERS = SPACES | NOTHING | SIGNS
"""What editors and chats write instead of the letters of ab."""

IS_HTML = re.compile(
    r"(?i)<(?:html|body|pre|br|p|td|li|code|blockquote|div|span|b|strong|tt|samp|kbd)\b[^<>]{0,500}>"
)
SCRIPT = re.compile(r"(?i)<(?:script|style)\b")
SCRIPT_END = re.compile(r"(?i)</(?:script|style)>")
LINE_TAGS = re.compile(r"(?i)</?(?:br|p|tr|li|div|h[1-6]|pre|table|blockquote)\b[^<>]{0,500}>")
CELL_TAGS = re.compile(r"(?i)</t[dh]>")
TAGS = re.compile(r"</?[a-zA-Z][^<>]{0,500}>")
ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});")

ESCAPED_LINE_END = re.compile(
    r"(?:\(be patient\)|Server Hostname:|Complete requests:|Requests per second:)[^\n]{0,200}?\\n"
)
ESCAPED = re.compile(r"\\(?:r\\n|[nt\"]|u00[0-9a-f]{2})")
VERBOSE = re.compile(r"LOG: header received:\s*\n")
FORUM_TAGS = re.compile(r"(?i)\[/?(?:code|quote|pre|tt)(?:=[^\]\n]{0,40})?\]")


def plain(text: str) -> tuple[str, list[str]]:
    """
    The text, and what was taken off it in words.
    """
    taken_off = []
    without = ESCAPES.sub("", text)
    if without != text:
        taken_off.append("control sequences of a terminal")
    text = without.replace("\r\n", "\n").replace("\r", "\n")
    # What servers answer (-v) is not ab's, whatever it contains.
    if not VERBOSE.search(text):
        if IS_HTML.search(text):
            text = _without_tags(text)
            taken_off.append("HTML tags")
        if ENTITY.search(text):
            text = ENTITY.sub(lambda match: html.unescape(match[0]), text)
            taken_off.append("HTML entities")
    text = FORUM_TAGS.sub("", text)
    if ESCAPED_LINE_END.search(text):
        text = ESCAPED.sub(_unescaped, text)
        taken_off.append("escaped line ends")
    if not text.isascii():
        text = text.translate(LETTERS)
    return text.replace("\0", "").replace("`", ""), taken_off


def _without_tags(text: str) -> str:
    shown, end = [], 0
    # A page may hold its text a second time, as data.
    while (script := SCRIPT.search(text, end)) and (close := SCRIPT_END.search(text, script.end())):
        shown.append(text[end : script.start()])
        end = close.end()
    text = "".join([*shown, text[end:]])
    return TAGS.sub("", CELL_TAGS.sub(" | ", LINE_TAGS.sub("\n", text)))


def _unescaped(match: re.Match[str]) -> str:
    sign = match[0][1:]
    if sign.startswith("u"):
        return chr(int(sign[1:], 16))
    return {"t": "\t", '"': '"'}.get(sign, "\n")
