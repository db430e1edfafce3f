"""
A user's own stack: what was measured of it, and what to change in which order.
"""
