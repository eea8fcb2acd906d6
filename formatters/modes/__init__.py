"""Define the built-in response modes: each module is a plugin, which its name turns off."""
