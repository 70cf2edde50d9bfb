"""What goes between a station and its aggregator: topics, messages, signatures, batches. Both halves of the pair stand on it."""
