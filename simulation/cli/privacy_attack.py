"""``wardchain privacy attack``: what somebody with a hospital's models can learn of its records."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from simulation.base.ids import hospital_name
from simulation.cli.exits import DONE, emit
from simulation.cli.options import Config, Json, Seed, Set

if TYPE_CHECKING:
    from simulation.learning.inversion import Inverted
    from simulation.learning.membership import Membership

BATCHES = (1, 4, 16)


def attack(
    config: Config,
    set_: Set = None,
    seed: Seed = None,
    hospital: Annotated[int, typer.Option(min=0, help="Hospital to attack.")] = 0,
    shadows: Annotated[
        int, typer.Option(min=4, help="Models to train for the attack; more of them see more.")
    ] = 32,
    json: Json = False,
) -> int:
    """Attack one hospital's training as configured: membership inference, gradient inversion.

    Shadow models are trained on halves of its records, by the configured code. What they show is
    no bound: a better attacker may see more, up to what epsilon allows.
    """
    from simulation.config.errors import ConfigError
    from simulation.config.load import load
    from simulation.learning.inversion import invert
    from simulation.learning.membership import membership
    from simulation.learning.params import DpSgdParams, NoPrivacy
    from simulation.runs.preflight import preflight

    experiment = load(config, set_ or (), seed)
    privacy, model = experiment.privacy, experiment.model
    if model is None or not experiment.learns:
        raise ConfigError(f"{config}: workload: nothing is trained, so nothing is to be learnt")
    if not isinstance(privacy, DpSgdParams | NoPrivacy):
        raise ConfigError(
            f"privacy.kind: {privacy.kind} does not let a hospital's own models out; attack "
            "kind: dp_sgd or none"
        )
    if hospital >= experiment.hospitals:
        raise ConfigError(f"--hospital: {hospital} is none of the {experiment.hospitals} hospitals")
    first = experiment.seeds[0]
    trainer = preflight(experiment, [first])[first].trainer_of(hospital)
    records, training = trainer.shard, experiment.training
    try:
        found = membership(
            records, model, training, privacy, experiment.federation.rounds, shadows, first
        )
        sigma = 0.0 if trainer.plan is None else trainer.plan.sigma
        own = None if isinstance(privacy, NoPrivacy) else privacy
        read = [
            invert(records, model, batch, protection, noise, seed=first)
            for batch in BATCHES
            if batch <= trainer.examples
            for protection, noise in dict.fromkeys([(None, 0.0), (own, sigma)])
        ]
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if json:
        emit({"membership": found.data(), "inversion": [asdict(one) for one in read]})
        return DONE
    for line in _lines(found, read):
        print(line)
    return DONE


def _lines(found: Membership, read: list[Inverted]) -> list[str]:
    claim = "no privacy guarantee" if found.epsilon is None else f"epsilon {found.epsilon:.3f}"
    return [
        (
            f"{hospital_name(found.hospital)}: {found.records} records, {found.shadows} models on "
            f"halves of them, {claim} each"
        ),
        "",
        "membership inference        advantage   TPR at 0.1 % FPR",
        f"  threshold on the loss     {found.loss_advantage:9.3f}   {found.loss_tpr:16.3f}",
        f"  LiRA                      {found.lira_advantage:9.3f}   {found.lira_tpr:16.3f}",
        "",
        "gradient inversion, one step   noise   median error   records read",
        *(
            f"  batch of {one.batch:<20} {one.sigma:7.3f}   {one.median:12.3f}   {one.read:11.0%}"
            for one in read
        ),
        "",
        "advantage: true less false positive rate, 0 is chance; error: distance from the record in",
        "its own lengths, 1 is no better than zeros; read: within a tenth of it",
    ]
