"""System design you can run: real services, their famous decisions, and what each one costs."""

__version__ = "0.1.0"
