"""The ledger: signed transactions, blocks, certificates, and each node's own copy of it.

Order comes from consensus; this package executes what was ordered, the same way everywhere, and
keeps what is needed to prove it afterwards. It knows no clock, no network, no consensus protocol.
"""
