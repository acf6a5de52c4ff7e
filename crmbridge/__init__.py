"""crmbridge: one set of golden records for many systems."""

__version__ = "0.1.0"
