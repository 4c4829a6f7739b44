"""Streams that go on where a replica broke off."""
