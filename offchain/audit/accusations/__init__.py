"""Accusations that a false result's leaves may bear out, the likeliest first. The contracts judge: most fail.

Only leaves that differ from the replay's, and their neighbours, are looked at: nothing else can be at fault.
"""
