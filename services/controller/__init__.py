"""Phases, modes and PI control: owns the event book, decides, and commands the relays."""
