"""The pages a person lives with, rendered on the server: one file a page, its templates in `templates/`."""
