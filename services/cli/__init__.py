"""`sps`: what a person types."""
