"""Measures the models of a run on the hospitals' test rows, outside the modelled world.

It takes no virtual time and sends no message: the numbers are the researcher's, not a hospital's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simulation.attacks.learners.backdoor import BackdoorAttack
from simulation.base.ids import HospitalId
from simulation.base.rng import Streams
from simulation.base.tensors import Arrays
from simulation.federation.setting import Setting
from simulation.learning.assess import Groups, assess
from simulation.learning.metrics import POOLED, Scores, evaluate
from simulation.learning.params import EvaluationParams
from simulation.trace.events import Event, Measured

ATTACK_SUCCESS = "attack_success"
"""The metric of a backdoor: how often its mark brings about its target."""

ModelOf = Callable[[HospitalId], Arrays]
"""The model that a hospital uses; the same for all in a federation."""


class Measuring:
    """Writes measurements into the trace: of every ``every``-th model, and all of the last one.

    Args:
        params: how often, and with how many resamples.
        setting: whose test rows are used.
        rounds: planned rounds.
        streams: of the run, for the resamples.
        record: writes an event into the trace.
        now: the virtual time.
        backdoors: what somebody may have taught the model, to see how well.
    """

    def __init__(
        self,
        params: EvaluationParams,
        setting: Setting,
        rounds: int,
        streams: Streams,
        record: Callable[[Event], None],
        now: Callable[[], int],
        backdoors: Sequence[BackdoorAttack] = (),
    ) -> None:
        self._params = params
        self._setting = setting
        self._rounds = rounds
        self._streams = streams
        self._record = record
        self._now = now
        self._backdoors = backdoors
        self._last: tuple[int, ModelOf] | None = None
        self._told = -1

    def observe(self, number: int, model_of: ModelOf) -> Mapping[str, float]:
        """Measure the models after a round, if it is due; the metrics of all rows together."""
        self._last = (number, model_of)
        if number % self._params.every and number < self._rounds:
            return {}
        return self._tell(number, model_of, self._scores(model_of))

    def finish(self) -> None:
        """Say of the last models what is said of no others."""
        if self._last is None:
            return
        number, model_of = self._last
        scores = self._scores(model_of)
        if self._told != number:
            self._tell(number, model_of, scores)
        groups = {h: self._groups(h) for h in scores}
        for scope, metric, value in assess(scores, groups, self._streams, self._params.resamples):
            self._record(Measured(self._now(), number, scope, metric, value))

    def _scores(self, model_of: ModelOf) -> dict[HospitalId, Scores]:
        hospitals = range(self._setting.hospitals)
        return {h: self._setting.trainer_of(h).scores(model_of(h)) for h in hospitals}

    def _tell(
        self, number: int, model_of: ModelOf, scores: Mapping[HospitalId, Scores]
    ) -> Mapping[str, float]:
        self._told = number
        found = evaluate(scores)
        for scope, values in found.items():
            for metric, value in values.items():
                self._record(Measured(self._now(), number, scope, metric, value))
        for backdoor in self._backdoors[:1]:
            value = self._success(backdoor, model_of)
            self._record(Measured(self._now(), number, POOLED, ATTACK_SUCCESS, value))
        return found[POOLED]

    def _success(self, backdoor: BackdoorAttack, model_of: ModelOf) -> float:
        """Share of the test rows of the other label that the mark turns into the target."""
        answers: list[NDArray[np.bool_]] = []
        for hospital in range(self._setting.hospitals):
            trainer = self._setting.trainer_of(hospital)
            rows = trainer.shard.test_x[trainer.shard.test_y != backdoor.target]
            if len(rows):
                found = trainer.predict(model_of(hospital), backdoor.marked(rows))
                answers.append((found > 0.5) == (backdoor.target == 1))
        return float(np.concatenate(answers).mean()) if answers else 0.0

    def _groups(self, hospital: HospitalId) -> Groups:
        """The subgroups of a hospital's test rows, as far as its source knows them."""
        return getattr(self._setting.trainer_of(hospital).shard, "test_groups", {})
