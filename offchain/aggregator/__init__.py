"""The aggregator's platform: its PoDs and their baselines, the offers it makes of them, and the set points it sends."""
