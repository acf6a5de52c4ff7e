"""`memory`: a real system that lives in this process. The engine's tests stand on it, and vendors read it.

It has ids, versions, a clock, deletes and archives, merges by its users, associations with composite keys,
tokens that are used up, writes that are accepted now and done later, lossy storage and failures, each
switchable by `Behaviour`. `MemorySystem` is the system itself: people (tests) edit it directly.
`MemoryConnector` speaks to it as a connector speaks to any system, by copies only.
"""

from crmbridge.connectors.memory.connector import MemoryConnector
from crmbridge.connectors.memory.system import Behaviour, MemorySystem

__all__ = ["Behaviour", "MemoryConnector", "MemorySystem"]
