"""A published matrix of round-trip times between the regions of a cloud provider, as a profile.

Mean round-trip times in milliseconds between 21 regions of Amazon Web Services, both directions
averaged: the cloudping.co snapshot that ships with the Delphi-BFT tool (file ``aws21.json``, commit
d4b501e; Berger, Toumia, Reiser, arXiv 2208.14745). The numbers are facts of that data set; one-way
times here are half of them. 166 of its 7,980 ordered triples violate the triangle inequality, so
paths are never shortened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulation.base.units import US_PER_MS

_ROUND_TRIPS_MS = """
us-east-1        6
us-east-2       15   6
us-west-1       62  54   3
us-west-2       65  54  22   2
ca-central-1    16  26  79  61   3
sa-east-1      116 125 175 176 126   3
eu-west-1       70  80 130 119  71 181   3
eu-west-2       77  87 149 129  79 187  14   2
eu-west-3       84  95 143 134  85 196  18  10   2
eu-central-1    93 103 152 141  93 205  27  18  13   3
eu-south-1     103 112 161 150 101 214  35  26  21  12   3
eu-north-1     113 123 175 160 108 218  44  33  32  23  32   3
me-south-1     161 170 221 212 162 313  97  89  80 120 111 140   3
af-south-1     225 234 294 274 225 332 161 150 159 163 185 179 147   9
ap-south-1     188 199 234 226 189 300 124 115 107 131 109 151  37 161   4
ap-southeast-1 215 199 177 166 211 324 174 166 162 159 149 178  94 218  60   4
ap-southeast-2 199 189 140 141 198 314 258 267 280 250 240 298 188 414 152  95   3
ap-east-1      195 183 156 146 194 307 208 198 194 192 183 211 128 253  99  39 129   3
ap-northeast-1 147 134 108  98 144 256 201 210 216 225 215 243 167 358 134  74 109  54   2
ap-northeast-2 175 163 131 123 173 287 231 240 246 224 215 244 167 385 133  81 144  39  36   3
ap-northeast-3 152 139 110 100 149 263 207 217 222 230 221 250 162 361 136  74 120  50  10  25   1
"""
"""One row per region: round trips to the regions above it, then within the region itself."""


def _parsed() -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    rows = [line.split() for line in _ROUND_TRIPS_MS.strip().splitlines()]
    lower = [[int(value) for value in row[1:]] for row in rows]
    size = len(rows)
    full = tuple(tuple(lower[max(a, b)][min(a, b)] for b in range(size)) for a in range(size))
    return tuple(row[0] for row in rows), full


REGIONS, _MATRIX_MS = _parsed()
"""The names of the 21 regions, in the order of the matrix."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegionLatency:
    """Nodes placed in the regions of a cloud provider, with their published round-trip times."""

    kind: Literal["regions"] = "regions"
    regions: tuple[str, ...] = ("us-west-2", "eu-west-1", "sa-east-1", "ap-southeast-2")
    """Where the nodes are: node i is in the i-th region, starting over when the list ends. Names
    are those of AWS, 21 regions of a cloudping.co snapshot."""
    jitter_ms: float = 0.0
    """Mean of the exponential jitter added to each message, in milliseconds; 0 for none."""

    def __post_init__(self) -> None:
        if not self.regions:
            raise ValueError("regions: is empty; name at least one region")
        for region in self.regions:
            if region not in REGIONS:
                raise ValueError(
                    f"regions: unknown region {region!r}; choose from {', '.join(REGIONS)}"
                )
        if not self.jitter_ms >= 0:
            raise ValueError(f"jitter_ms: must be >= 0, got {self.jitter_ms}; use 0 for none")


def round_trip_ms(a: str, b: str) -> int:
    """Mean round-trip time between two regions, or within one, in milliseconds.

    Raises:
        ValueError: when a region is not one of `REGIONS`.
    """
    return _MATRIX_MS[REGIONS.index(a)][REGIONS.index(b)]


def region_bases_us(params: RegionLatency, nodes: int) -> list[list[int]]:
    """One-way delays in µs between nodes 0 .. ``nodes`` − 1, half of the round trips."""
    places = [params.regions[node % len(params.regions)] for node in range(nodes)]
    return [[round_trip_ms(a, b) * US_PER_MS // 2 for b in places] for a in places]
