"""The AC500."""

from bluetti_mqtt.core import AC500

from services.bluetti_bridge.models._bluetti_mqtt import model_from

MODEL = model_from(AC500, "AC500")
