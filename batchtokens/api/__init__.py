"""The REST interface of batchtokens."""
