"""A real Home Assistant process and a real emulator, driven from outside."""
