"""An honest estimate of the load an event would have seen, with a 90 % interval, validated on the home's own past."""
