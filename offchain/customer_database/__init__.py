"""The Shared Customer Database (SCD): who is behind each pseudonym, and what meters, baselines and set points say."""
