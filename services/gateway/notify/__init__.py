"""Tells people what they would want to know when they are not looking at the page; once each, in plain words.

It lives in the gateway, which hears the bus, keeps what people chose, and is the one part that talks to the world outside.
"""
