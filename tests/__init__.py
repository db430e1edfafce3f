"""
Tests: unit (pure), lab and inside (root, real), end_to_end (the README's main command).
"""
