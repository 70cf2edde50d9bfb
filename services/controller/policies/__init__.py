"""What the station does on days without an event: one file a policy. docs/policies.md states their rules."""
