"""Chained HotStuff: linear votes, one phase per block, three-chain commit (PODC 2019).

Yin, Malkhi, Reiter, Gueta & Abraham, "HotStuff: BFT Consensus with Linearity and Responsiveness",
arXiv 1803.05069. `README.md` beside this file maps the paper's sections to files and functions.
Each layer adds one part: `core` (state), `chain` (safety), `transfer` (catching up), `requests`
(clients, proposals), `pacemaker` (liveness), and `replica` puts them behind the contract of
`simulation.consensus.protocol`.
"""
