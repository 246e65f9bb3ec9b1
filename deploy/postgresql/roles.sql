-- Two roles: one that owns the tables and migrates, one that the application runs as.
-- Run as a superuser in the application's database, after every `manage.py migrate` (as the owner):
--   psql -v owner=authproject_owner -v application=authproject -f roles.sql DATABASE
-- Both roles must exist. The second line are triggers, which hold for the owner, too.

GRANT USAGE ON SCHEMA public TO :"application";
REVOKE CREATE ON SCHEMA public FROM PUBLIC, :"application";

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"application";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"application";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"application";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
  GRANT USAGE, SELECT ON SEQUENCES TO :"application";

-- Insert-only: no change and no deletion, but for the erasure of notes.
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON
  batchtokens_ledgerentry, batchtokens_ledgerleaf, batchtokens_ledgernode, batchtokens_checkpoint,
  batchtokens_redemptionattempt
FROM :"application";
GRANT UPDATE (note) ON batchtokens_ledgerentry TO :"application";

-- State that is the fold of the ledger: it changes, but no row goes.
REVOKE DELETE, TRUNCATE, TRIGGER ON batchtokens_operationtoken, batchtokens_redemption
FROM :"application";

-- What was migrated is the owner's word.
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM :"application";
