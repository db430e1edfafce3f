"""
Unit tests: everything that is pure, in seconds, without root.
"""
