"""The documents of D2.3 (Tables 1 to 26) and the packets of D3.3 (Tables 18 to 25), from and to integers.

What comes from outside is read with `base.parse` and written with `base.dump`. Inside, integers are used:
each module turns its documents into frozen rows of integers, or rows into documents.
"""
