"""
The sections of the report, each a function from a run's records to Markdown.
"""
