"""
What was run, and the words that the report uses.
"""
