"""
What a reader must know before any number.
"""
