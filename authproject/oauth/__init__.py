"""The OAuth endpoints: thin adapters over the services of accounts and batchtokens."""
