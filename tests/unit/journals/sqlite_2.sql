-- What the daemon of commit 9b7e87d made of an empty SQLite file. Never edited: such
-- journals are out there.
CREATE TABLE payments ( sequence INTEGER PRIMARY KEY,
  key BLOB NOT NULL CHECK (length(key) = 32),
  id BLOB NOT NULL CHECK (length(id) = 16),
  network TEXT NOT NULL,
  wire_network TEXT NOT NULL,
  asset BLOB NOT NULL,
  payer BLOB NOT NULL,
  pay_to BLOB NOT NULL,
  amount TEXT NOT NULL,
  nonce BLOB NOT NULL,
  valid_before INTEGER NOT NULL,
  scheme TEXT NOT NULL, x402_version INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  payload_hash BLOB NOT NULL,
  idem_scope TEXT,
  idem_key TEXT,
  caller TEXT NOT NULL,
  owner TEXT NOT NULL,
  call_to BLOB NOT NULL,
  calldata BLOB NOT NULL,
  state_calldata BLOB NOT NULL,
  gas_limit INTEGER NOT NULL,
  may_share INTEGER NOT NULL,
  cost_gwei INTEGER NOT NULL,
  spend_day INTEGER,
  state TEXT NOT NULL CHECK (state IN ('reserved', 'signed',  'broadcast', 'settled', 'provisioned', 'reverted', 'expired',  'cancelled', 'replaced')),
  reason TEXT NOT NULL DEFAULT '',
  message TEXT NOT NULL DEFAULT '',
  transaction_hash BLOB,
  tx INTEGER,
  other_hash BLOB,
  block_number INTEGER NOT NULL DEFAULT 0,
  credited INTEGER NOT NULL DEFAULT 0 CHECK (credited IN (0, 1)),
  answer TEXT,
  claim BLOB,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL) STRICT;
CREATE TABLE claims ( key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
  payment INTEGER NOT NULL,
  look_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE transactions ( sequence INTEGER PRIMARY KEY,
  id BLOB NOT NULL CHECK (length(id) = 32),
  network TEXT NOT NULL,
  signer BLOB NOT NULL,
  nonce INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN  ('signed', 'broadcast', 'mined', 'final', 'replaced')),
  mined_hash BLOB,
  block_hash BLOB,
  block_number INTEGER NOT NULL DEFAULT 0,
  created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE attempts ( sequence INTEGER PRIMARY KEY,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  tx INTEGER NOT NULL REFERENCES transactions (sequence),
  raw BLOB NOT NULL,
  max_fee TEXT NOT NULL,
  max_priority TEXT NOT NULL,
  created_ms INTEGER NOT NULL) STRICT;
CREATE TABLE transaction_payments ( tx INTEGER NOT NULL REFERENCES transactions (sequence),
  position INTEGER NOT NULL,
  payment INTEGER NOT NULL REFERENCES payments (sequence), PRIMARY KEY (tx, position)) STRICT, WITHOUT ROWID;
CREATE TABLE payment_events ( sequence INTEGER PRIMARY KEY,
  payment INTEGER NOT NULL REFERENCES payments (sequence),
  state TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  note TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE holds ( key BLOB NOT NULL PRIMARY KEY,
  network TEXT NOT NULL,
  asset BLOB NOT NULL,
  payer BLOB NOT NULL,
  amount TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE spending ( day INTEGER NOT NULL,
  network TEXT NOT NULL,
  scope TEXT NOT NULL CHECK (scope IN ('payer', 'caller', 'total')),
  who TEXT NOT NULL,
  gwei INTEGER NOT NULL, PRIMARY KEY (day, network, scope, who)) STRICT, WITHOUT ROWID;
CREATE TABLE lanes ( network TEXT NOT NULL,
  signer BLOB NOT NULL,
  owner TEXT NOT NULL,
  token INTEGER NOT NULL,
  until_ms INTEGER NOT NULL, PRIMARY KEY (network, signer)) STRICT, WITHOUT ROWID;
CREATE TABLE instances ( owner TEXT NOT NULL PRIMARY KEY,
  until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox ( sequence INTEGER PRIMARY KEY,
  hook TEXT NOT NULL,
  payment INTEGER NOT NULL REFERENCES payments (sequence),
  state TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  dead INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE resources ( sequence INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  type TEXT NOT NULL, x402_version INTEGER NOT NULL,
  accepts TEXT NOT NULL,
  extensions TEXT,
  metadata TEXT,
  settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),
  updated_ms INTEGER NOT NULL) STRICT;
CREATE TABLE resource_offers ( resource INTEGER NOT NULL  REFERENCES resources (sequence) ON DELETE CASCADE,
  scheme TEXT NOT NULL,
  network TEXT NOT NULL,
  pay_to TEXT NOT NULL) STRICT;
CREATE TABLE resource_extensions ( resource INTEGER NOT NULL  REFERENCES resources (sequence) ON DELETE CASCADE,
  name TEXT NOT NULL) STRICT;
CREATE TABLE heartbeat ( one INTEGER PRIMARY KEY CHECK (one = 1),
  at_ms INTEGER NOT NULL,
  forgotten_s INTEGER NOT NULL) STRICT;
CREATE TABLE payment_references ( reference BLOB NOT NULL  CHECK (length(reference) = 32),
  payment INTEGER NOT NULL  REFERENCES payments (sequence), PRIMARY KEY (reference, payment)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX payments_by_id ON payments (id);
CREATE INDEX payments_by_payload ON payments (sequence >> 14, substr(payload_hash, 1, 8));
CREATE UNIQUE INDEX payments_by_idempotency ON payments (idem_scope, idem_key) WHERE idem_key IS NOT NULL;
CREATE INDEX payments_by_other ON payments (other_hash) WHERE other_hash IS NOT NULL;
CREATE INDEX payments_unsigned ON payments (network, sequence) WHERE state IN ('reserved', 'replaced');
CREATE INDEX payments_unsettled ON payments (network, asset, payer) WHERE state IN ('reserved', 'signed', 'broadcast', 'replaced');
CREATE INDEX claims_due ON claims (look_s);
CREATE UNIQUE INDEX transactions_by_id ON transactions (id);
CREATE UNIQUE INDEX transactions_by_nonce ON transactions (network, signer, nonce) WHERE state <> 'replaced';
CREATE INDEX transactions_of_signer ON transactions (network, signer, nonce);
CREATE INDEX transactions_open ON transactions (network, signer) WHERE state IN ('signed', 'broadcast', 'mined');
CREATE UNIQUE INDEX attempts_by_hash ON attempts (hash);
CREATE INDEX attempts_of ON attempts (tx);
CREATE INDEX transactions_of_payment ON transaction_payments (payment);
CREATE INDEX payment_events_of ON payment_events (payment);
CREATE INDEX holds_of ON holds (network, asset, payer) WHERE used = 0;
CREATE INDEX holds_due ON holds (until_ms);
CREATE INDEX outbox_due ON outbox (due_ms) WHERE dead = 0;
CREATE INDEX outbox_of ON outbox (payment);
CREATE INDEX resources_by_time ON resources (updated_ms);
CREATE INDEX resources_unproven ON resources (updated_ms) WHERE settled = 0;
CREATE INDEX resource_offers_of ON resource_offers (resource);
CREATE INDEX resource_extensions_of ON resource_extensions (resource);
CREATE INDEX payment_references_of ON payment_references (payment);
INSERT INTO heartbeat VALUES (1, 0, 0);
PRAGMA user_version = 2;
