"""One file a way of reaching a power station."""
