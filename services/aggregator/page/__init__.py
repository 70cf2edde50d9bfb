"""The fleet's page: rendered here, with no script of its own but the one that asks for it again."""
