"""
The table of keys: complete, and the page that is made of it.
"""

from __future__ import annotations

from experiments.deployments.compose_keys import SERVICE_KEYS, Arms, key_of, markdown
from experiments.paths import PROJECT


def test_the_page_is_made_from_the_table() -> None:
    """
    To make it again, write what ``markdown`` returns.
    """
    page = PROJECT / "docs" / "compose.md"
    assert page.read_text(encoding="utf-8") == markdown()


def test_a_key_that_nobody_knows_is_refused() -> None:
    """
    But for extensions, which mean nothing to Compose either.
    """
    assert key_of("of-the-future").arms is Arms.REFUSED
    assert key_of("x-anything").arms is Arms.BOTH
    assert all(key.about for key in SERVICE_KEYS.values())
