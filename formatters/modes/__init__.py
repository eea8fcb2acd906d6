"""Define the built-in response modes: each module is a plugin, and its name turns it off."""
