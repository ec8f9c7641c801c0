"""What can be measured, each by a name of its own."""
