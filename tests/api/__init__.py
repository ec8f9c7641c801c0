"""Tests of the client of Plex's HTTP API."""
