"""The journal of what happened, and what is reckoned from it: baselines, settlement, the query API."""
