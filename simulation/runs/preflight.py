"""What only the data, the apps and the accountant can say against a configuration.

All of it is asked before a run directory is made: whether the data are there and unaltered, whether
the hospitals can be dealt as many records as they need, whether noise can reach the target, and
whether the named apps and strategy arguments exist.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from simulation.config.errors import ConfigError
from simulation.config.experiment import Experiment
from simulation.config.locate import located
from simulation.records.errors import AbsentDataError

if TYPE_CHECKING:
    from simulation.federation.setting import Setting


def preflight(experiment: Experiment, seeds: Iterable[int]) -> dict[int, Setting]:
    """Meet the data, the apps and the accountant; trainers and initial model for each seed.

    A workload meets none of them, so its mapping is empty.

    Raises:
        ConfigError: at the first objection, with the path to the field.
        AbsentDataError: when the data are not on this machine.
    """
    if not experiment.learns:
        return _preflight_workload(experiment)
    from simulation.federation.loading import load_client_app, load_server_app
    from simulation.federation.steering import check_selection
    from simulation.federation.strategies import build_strategy, check_strategy_args
    from simulation.world import make_setting

    # Flower tells its own users how it reads its arguments; here the configuration says it all.
    logging.getLogger("flwr").setLevel(logging.ERROR)
    try:
        check_strategy_args(experiment.federation)
        build_strategy(experiment.federation, experiment.hospitals, evaluate=False)
        check_selection(experiment.federation, experiment.hospitals)
        load_client_app(experiment.federation.client_app)
        load_server_app(experiment.federation.server_app)
        return {seed: make_setting(experiment, seed) for seed in seeds}
    except AbsentDataError:
        # Nothing is wrong with the configuration; whoever asks may go on without these data.
        raise
    except TypeError as error:
        # Flower's strategies are plain classes: a required argument that is missing is a TypeError.
        strategy = experiment.federation.strategy
        raise ConfigError(f"federation.strategy_args: {strategy} refuses them: {error}") from error
    except ValueError as error:
        raise ConfigError(located(str(error), experiment)) from error


def _preflight_workload(experiment: Experiment) -> dict[int, Setting]:
    from simulation.world.load import LoadWorld

    try:
        LoadWorld(experiment, experiment.seeds[0])
    except ValueError as error:
        raise ConfigError(located(str(error), experiment)) from error
    return {}
