"""Bluetooth Low Energy for the bridges: the machine's own radio, or one that is only software."""
