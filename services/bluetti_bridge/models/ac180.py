"""The AC180. bluetti-mqtt does not know it."""

from services.bluetti_bridge.model import ON_OFF, Choice, Control, Flag, Model
from services.bluetti_bridge.models._v2 import CHARGING_MODES, DEVICE_TYPE, READING, SOURCE, STATUS_BLOCK

MODEL = Model(
    name="AC180",
    blocks=(STATUS_BLOCK, (2011, 11)),
    device_type=DEVICE_TYPE,
    # 2017 is the AC output's own eco setting; 2014, the DC output's, says nothing of P3.
    reading={**READING, "ac_output_on": Flag(2011), "eco_mode": Flag(2017)},
    others={"dc_output_on": Flag(2012), "charging_mode": Choice(2020, CHARGING_MODES)},
    controls={
        "ac_output": Control(2011, ON_OFF),
        "dc_output": Control(2012, ON_OFF),
        "charging_mode": Control(2020, {"standard": 0, "silent": 1, "turbo": 2}),
    },
    source=SOURCE,
)
