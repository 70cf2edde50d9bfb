"""Makes the station appear in Home Assistant by itself, through MQTT discovery."""
