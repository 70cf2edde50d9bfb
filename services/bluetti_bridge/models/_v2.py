"""What the second generation of register maps has in common, as in bluetti-bt-lib 0.1.8."""

from collections.abc import Mapping

from services.bluetti_bridge.model import Number, Register, Text

STATUS_BLOCK = (100, 62)
DEVICE_TYPE = Text(110, 6, swapped=True)
READING: Mapping[str, Register] = {
    "soc_pct": Number(102, high=100),
    "dc_out_w": Number(140),
    "ac_out_w": Number(142),
    "dc_in_w": Number(144),
    "ac_in_w": Number(146),
}
CHARGING_MODES = {0: "standard", 1: "silent", 2: "turbo", 4: "custom"}
"""`custom` is set up in the vendor's app; it can be seen, and is not ours to choose."""
SOURCE = "bluetti-bt-lib 0.1.8; proved against our own emulator only"
