"""The register maps, one file a model, found by the model's name."""

import re
from importlib import import_module

from services.bluetti_bridge.model import Model

MODELS = {
    name: f"services.bluetti_bridge.models.{name.lower()}"
    for name in ("AC180", "AC2A", "AC200M", "AC300", "AC500", "AC60", "EB3A", "EP500")
}
"""Modules with a `MODEL`, imported only when used: some need bluetti-mqtt."""


def model_named(name: str) -> Model:
    """The map of the model `name`. Raises ValueError with a remedy."""
    if (module := MODELS.get(name.upper())) is None:
        raise ValueError(f"model: {name!r} is not known; use one of {', '.join(sorted(MODELS))}")
    model: Model = import_module(module).MODEL
    return model


def model_of(advertised: str) -> str | None:
    """The model in an advertised name, such as AC180 in `AC1802237000123456`: the model, then digits. None if it is none of ours."""
    return next((name for name in MODELS if re.fullmatch(rf"{name}\d{{10,}}", advertised)), None)
