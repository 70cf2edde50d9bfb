"""The AC300."""

from bluetti_mqtt.core import AC300

from services.bluetti_bridge.models._bluetti_mqtt import model_from

MODEL = model_from(AC300, "AC300")
