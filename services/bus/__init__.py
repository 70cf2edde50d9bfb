"""The contract between the services: topics, messages, the MQTT client, the clock."""
