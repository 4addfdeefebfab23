"""Practical Byzantine Fault Tolerance (Castro & Liskov, OSDI '99; TOCS 2002).

`README.md` beside this file maps the paper's sections to files and functions. Each layer adds one
part of the protocol: `core` (state), `requests` (§4.1), `normal` (§4.2), `checkpoint` (§4.3),
and `replica` puts them behind the contract of `simulation.consensus.protocol`.
"""
