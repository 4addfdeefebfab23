"""The actors of a run on the virtual clock: hosts of replicas, ledgers, hospitals, coordinator."""
