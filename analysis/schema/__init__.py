"""
JSON Schemas (draft 2020-12) of what a run stores, for programs that read it without this project.
"""
