"""The AC200M."""

from bluetti_mqtt.core import AC200M

from services.bluetti_bridge.models._bluetti_mqtt import model_from

MODEL = model_from(AC200M, "AC200M")
