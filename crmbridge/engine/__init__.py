"""Moves records between systems, in stages that do not know each other:

pull.py -> resolve.py -> (merge) -> plan.py -> push.py, composed by sync.py and reconcile.py.
"""
