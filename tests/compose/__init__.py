"""The whole stack in containers: `make test-compose`. Its own engine, no image registry."""
