"""
Cold start and warm-up.
"""
