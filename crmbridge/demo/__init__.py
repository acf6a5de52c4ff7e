"""A folder to play with: a small tea company, three systems, and customers that are in more than one."""

from crmbridge.demo.folder import write

__all__ = ["write"]
