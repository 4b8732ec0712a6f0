"""What the gateway asks of others over HTTP goes out from here; what an answer may cost is bounded here."""
