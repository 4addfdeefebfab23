"""The vault: model bytes outside the ledger, found and checked by their content address."""
