"""
Threats to validity.
"""
