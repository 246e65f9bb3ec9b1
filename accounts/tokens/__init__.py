"""The token module on SimpleJWT's token classes: wire form only, no state."""
