"""The REST interface of batchtokens (DESIGN §5.4, §5.5, §9)."""
