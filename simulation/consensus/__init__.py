"""Consensus as pure state machines: events in, effects out (sans-IO).

No clock, no randomness, no SimPy and no logging inside: time is an argument or a timer, and the
host in `simulation.nodes` owns wires, clocks and disks. `protocol` is the contract, `machine` what
replicas are built on, `registry` the list of protocols, `sequencer` the example to copy from.
"""
