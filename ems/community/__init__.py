"""Neighbours who share: prices, keys, splits, fairness, law and ledger of an energy community."""
