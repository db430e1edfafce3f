"""
A model of ApacheBench for tests, made from its source and without the audit's code.

``events`` says what truly happened to every request of a load; ``versions`` what the versions of ab
do differently; ``counting`` counts the events as a version does; ``printing`` prints the counts as
it does; ``strategies`` draws random loads for hypothesis. The source is ``support/ab.c`` of Apache
HTTP Server (``src/support/ab.c`` of 1.3). Each rule names its function there. Where no version is
named, a rule holds for all of them.

Not modelled: ``-w``, ``-x``, ``-X``, ``-e``, ``-g``, the trunk's ``-t`` without ``-n``, and the
senseless waiting times that 2.0 prints of requests without an answer.
"""
