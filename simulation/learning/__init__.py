"""Local learning: models, private training, privacy accounting, metrics, and what training costs.

`params` and `update` are light; `models` and `train` import PyTorch and Opacus. The package knows
nothing of hospitals' wires: arrays go in, arrays come out.
"""
