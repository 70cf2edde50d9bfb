"""The aggregator's tables: SQLite, or PostgreSQL by its URL."""
