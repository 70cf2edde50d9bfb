"""What every part of the configuration shares."""

from datetime import time
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A frozen part of the configuration; a field it does not know is an error, so that typing errors show."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def _local(value: object) -> time:
    # YAML reads an unquoted 17:00 as the number 1020, which would pass for 17 minutes past midnight.
    try:
        parsed = value if isinstance(value, time) else time.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is not None:
        raise ValueError('use a local time in quotation marks, such as "17:00"')
    return parsed


Percent = Annotated[float, Field(ge=0, le=100)]
Efficiency = Annotated[float, Field(gt=0, le=1)]
LocalTime = Annotated[time, BeforeValidator(_local)]
Port = Annotated[int, Field(ge=1, le=65535)]
