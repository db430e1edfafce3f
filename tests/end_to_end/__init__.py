"""
The README's main command, on a clean clone.
"""
