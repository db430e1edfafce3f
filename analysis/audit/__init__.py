"""
Auditing what ApacheBench printed: whose numbers hold, what they include, what they can support.

Works on any text of ab, from any machine: ``python -m analysis.audit [FILE …]``.
"""
