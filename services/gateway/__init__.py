"""The web page and the REST API of the station, and the owner of the person's preferences."""
