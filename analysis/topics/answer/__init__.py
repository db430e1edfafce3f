"""
The answer to the question, in three sentences.
"""
