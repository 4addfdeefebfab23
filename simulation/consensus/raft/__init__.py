"""Raft: an elected leader replicates its log; survives crashes, not lies (USENIX ATC 2014).

Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm". `README.md` beside this
file maps the paper's sections to files and functions. Each layer adds one part: `core` (state),
`requests` (clients), `replication` (§5.3, §5.4.2, §7), `election` (§5.2, §5.4.1), and `replica`
puts them behind the contract of `simulation.consensus.protocol`.
"""
