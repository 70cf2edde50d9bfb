"""The AC2A. bluetti-mqtt does not know it, and nobody has found a register that switches its outputs: modes 0 and 4 need a P3 relay."""

from services.bluetti_bridge.model import Flag, Model
from services.bluetti_bridge.models._v2 import DEVICE_TYPE, READING, SOURCE, STATUS_BLOCK

MODEL = Model(
    name="AC2A",
    blocks=(STATUS_BLOCK, (1509, 1), (2012, 1)),
    device_type=DEVICE_TYPE,
    reading={**READING, "ac_output_on": Flag(1509)},
    others={"dc_output_on": Flag(2012)},
    source=SOURCE,
)
