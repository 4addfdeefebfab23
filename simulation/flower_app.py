"""The apps as Flower finds them: ``simulation.flower_app:client_app`` and ``:server_app``.

Named in a configuration (the default) they run on the virtual clock; named in pyproject.toml they
run under Flower's own runtime, where ``config`` and ``seed`` of the run config tell the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from simulation.federation.apps import make_client_app, make_server_app
from simulation.federation.setting import Setting, setting_for


@lru_cache(maxsize=4)
def _build(config: str, seed: int) -> Setting:
    from simulation.config.load import load
    from simulation.world import make_setting

    experiment = load(Path(config))
    if experiment.attacks:
        raise ValueError(
            f"{config}: attacks: attackers act on the virtual clock only; remove them, or use "
            "wardchain run"
        )
    return make_setting(experiment, seed)


def _from_run_config(run_config: Mapping[str, object]) -> Setting:
    return _build(str(run_config["config"]), int(str(run_config["seed"])))


def _setting_of(run_config: Mapping[str, object]) -> Setting:
    return setting_for(run_config, _from_run_config)


client_app = make_client_app(_setting_of)
server_app = make_server_app(_setting_of)
