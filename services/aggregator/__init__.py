"""The reference aggregator: the pair's other half. It calls events for a network of stations and receives what they share."""
