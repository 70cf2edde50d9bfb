"""The EP500."""

from bluetti_mqtt.core import EP500

from services.bluetti_bridge.models._bluetti_mqtt import model_from

MODEL = model_from(EP500, "EP500")
