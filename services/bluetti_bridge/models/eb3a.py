"""The EB3A."""

from bluetti_mqtt.core import EB3A

from services.bluetti_bridge.models._bluetti_mqtt import model_from

MODEL = model_from(EB3A, "EB3A")
