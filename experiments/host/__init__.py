"""
The host's side: the command line, and one measurement from start to end.
"""
