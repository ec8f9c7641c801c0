"""Tests of what happens when Plex, the network or the user does not cooperate."""
