"""``python -m simulation`` is ``wardchain``."""

from __future__ import annotations

from simulation.cli import main

if __name__ == "__main__":
    main()
