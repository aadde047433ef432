"""The Light Node: the device at a PoD that reads its meter, signs what it says, and carries out set points."""
