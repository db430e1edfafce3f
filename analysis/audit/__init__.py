"""
The audit of ApacheBench's outputs: are the numbers consistent, what do they include and support?

``python -m analysis.audit [FILE …]`` reads text from any machine. The way of the data: ``options``
name files, ``sources`` reads their bytes, ``markup``, ``prefixes`` and ``decoration`` take off what
is not ab's, ``reading`` makes outputs of the rest, ``checks`` lists every check of one output,
``comparison`` compares arms, ``result`` holds all findings, ``printing`` prints them. ``versions``
is the table of what each version of ab computes and prints, ``tails`` infers what made slow
requests.
"""
