"""Random integers for the documents' round trips: few PoDs and slots, so that they meet."""

from hypothesis import strategies as st

from offchain.protocol.products import Product
from offchain.protocol.units import MAX_POWER_W

pods = st.sampled_from(["IT001E00000001", "IT001E00000002", "0x" + "ab" * 32])
products = st.sampled_from(list(Product))
powers_w = st.integers(1, MAX_POWER_W)
some_powers_w = st.one_of(st.just(0), powers_w)
slots = st.integers(0, 5)
players = st.sampled_from(["dso1", "tso1", "agg1"])
# Beyond 2**52 µ€, which are 4.5 billion euros, one JSON number stands for two amounts.
amounts_ueur = st.integers(0, 2**51)
