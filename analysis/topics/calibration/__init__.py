"""
Whether known costs come out as they were put in, and what short loads stand for.
"""
