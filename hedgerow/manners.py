"""How requests are routed and waited for, as the configuration says."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.predictor.predictor import load_predictor
from hedgerow.config import Config
from hedgerow.files.model_spec import Model, Routing
from proxy.by_prompt import Chooser
from proxy.classes import ModelClass
from proxy.house import Manners
from proxy.patience import Patience, StreamRescue
from routing.limits import Floor, Limits
from routing.prompt_choice import AtLeast, Worth


def manners(config: Config, model: str) -> Manners:
    """Those of a model; of a class, those by which its requests are waited for. Raises NotFound."""
    routing = config.routing_of(model)
    return _manners(routing, _floor(config.models[model]))


def usual_manners(config: Config) -> Manners:
    return _manners(config.routing, None)


def own_manners(config: Config) -> dict[str, Manners]:
    """Of the models that have some of their own."""
    return {
        name: manners(config, name)
        for name, model in config.models.items()
        if model.routing is not None or model.quality is not None
    }


def classes(config: Config) -> dict[str, ModelClass]:
    """The names that stand for several models. Raises PredictorInvalid."""
    return {
        name: ModelClass(model.any_of, _floor(model), _chooser(config, model))
        for name, model in config.models.items()
        if model.any_of
    }


def _chooser(config: Config, model: Model) -> Chooser | None:
    its = model.choose_by_prompt
    if its is None:
        return None
    predictor = load_predictor(config.path.absolute().parent / its.predictor)
    if its.worth_usd is not None:
        return Chooser(predictor, Worth(its.worth_usd))
    return Chooser(predictor, AtLeast(its.at_least or 0.0))


def ttft_limits_ms(config: Config) -> Mapping[str, float]:
    """By model, how long a first token may take to be in time."""
    return {name: config.routing_of(name).ttft_ms_p95_max for name in config.models}


def _manners(routing: Routing, floor: Floor | None) -> Manners:
    return Manners(_limits(routing, floor), _patience(routing), routing.hedge.rule())


def _limits(routing: Routing, floor: Floor | None) -> Limits:
    return Limits(
        ttft_ms_p95_max=routing.ttft_ms_p95_max,
        total_ms_p95_max=routing.total_ms_p95_max,
        late_last=routing.late == "last",
        miss_cost=routing.miss_cost,
        attempts=routing.attempts,
        quality=floor,
        explore=routing.explore,
    )


def _floor(model: Model) -> Floor | None:
    floor = model.quality
    return None if floor is None else Floor(floor.benchmark, floor.at_least)


def _patience(routing: Routing) -> Patience:
    return Patience(
        attempts=routing.attempts,
        first_byte_timeout_s=routing.first_byte_timeout,
        idle_timeout_s=routing.idle_timeout,
        deadline_s=routing.deadline,
        stream_rescue=StreamRescue(routing.stream_rescue),
        heartbeat_s=routing.heartbeat,
    )
