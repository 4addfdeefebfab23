"""Attacks of a hospital on what is learnt: a file for each.

Derive from `data.DataAttack` to change the records that training reads, or from
`update.UpdateAttack` to change the update between training and its commitment.
"""
