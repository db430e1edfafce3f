"""
What the user's host does: the command line, and one measurement from start to end.
"""
