# Home Assistant puts its own engine in the place of voluptuous when it is imported.
# The real package is installed too, and mypy would take its types for those that run.
from probatio import *
