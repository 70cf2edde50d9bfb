"""The AC60. bluetti-mqtt knows its charge and its name; the powers and switches are those of bluetti-bt-lib 0.1.8."""

from dataclasses import replace

from bluetti_mqtt.core import AC60

from services.bluetti_bridge.model import ON_OFF, Control, Flag
from services.bluetti_bridge.models._bluetti_mqtt import model_from
from services.bluetti_bridge.models._v2 import READING, SOURCE

_known = model_from(AC60, "AC60")
MODEL = replace(
    _known,
    blocks=(*_known.blocks, (2011, 2)),
    reading={**READING, **_known.reading, "ac_output_on": Flag(2011)},
    others={"dc_output_on": Flag(2012)},
    controls={"ac_output": Control(2011, ON_OFF), "dc_output": Control(2012, ON_OFF)},
    source=f"bluetti-mqtt 0.15.0 and {SOURCE}",
)
