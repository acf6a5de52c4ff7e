"""Records judged the same become one golden record. All pure: no I/O, no clock, no randomness.

shape.py      what the fields of an entity are (built once from its model)
link.py       what each linked record said, holds, was sent and held before, field by field
elements.py   which elements of different lists are one
survive.py    which value wins: links + policy -> golden record
normalize.py  one value -> the keys under which equal values meet
"""
