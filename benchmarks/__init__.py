"""How fast the client and the integration are, beside their peers."""
