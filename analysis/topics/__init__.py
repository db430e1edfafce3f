"""
The topics of the report, a folder for each: its findings, its section in words, its figure.
"""
