"""How the parts talk: MQTT topics, a client that journals before it acknowledges, and the broker."""
