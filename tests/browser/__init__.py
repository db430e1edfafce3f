"""
Tests that look at the report's page in a real browser; need Chromium, and root to install it.
"""
