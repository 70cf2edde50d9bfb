"""The link to the aggregator: its events come in, and what the person shares goes out."""
