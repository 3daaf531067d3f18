-- What the daemon of commit 7a34824 made of an empty PostgreSQL database. Never edited: such
-- journals are out there.
CREATE TABLE payments (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key bytea NOT NULL CHECK (length(key) = 32),
  id bytea NOT NULL CHECK (length(id) = 16),
  network text NOT NULL,
  wire_network text NOT NULL,
  asset bytea NOT NULL,
  payer bytea NOT NULL,
  pay_to bytea NOT NULL,
  amount numeric(78, 0) NOT NULL,
  nonce bytea NOT NULL,
  valid_before bigint NOT NULL,
  scheme text NOT NULL,
  x402_version bigint NOT NULL,
  fingerprint bytea NOT NULL,
  payload_hash bytea NOT NULL,
  idem_scope text,
  idem_key text,
  caller text NOT NULL,
  owner text NOT NULL,
  call_to bytea NOT NULL,
  calldata bytea NOT NULL,
  state_calldata bytea NOT NULL,
  gas_limit bigint NOT NULL,
  may_share boolean NOT NULL,
  cost_gwei bigint NOT NULL,
  spend_day bigint, -- NULL: not counted
  state text NOT NULL CHECK (state IN ('reserved', 'signed', 'broadcast',
    'settled', 'provisioned', 'reverted', 'expired', 'cancelled', 'replaced')),
  reason text NOT NULL DEFAULT '',
  message text NOT NULL DEFAULT '',
  transaction_hash bytea, -- the newest
  tx bigint, -- the newest transaction
  other_hash bytea, -- landed by somebody else's
  block_number bigint NOT NULL DEFAULT 0,
  credited boolean NOT NULL DEFAULT false,
  answer text,
  created_ms bigint NOT NULL,
  updated_ms bigint NOT NULL
);
CREATE UNIQUE INDEX payments_by_id ON payments (id);
CREATE INDEX payments_by_payload
  ON payments ((sequence >> 14), substr(payload_hash, 1, 8));
CREATE UNIQUE INDEX payments_by_idempotency ON payments (idem_scope, idem_key)
  WHERE idem_key IS NOT NULL;
CREATE INDEX payments_by_tx ON payments (tx) WHERE tx IS NOT NULL;
CREATE INDEX payments_by_other ON payments (other_hash)
  WHERE other_hash IS NOT NULL;
CREATE INDEX payments_unsigned ON payments (network, sequence)
  WHERE state IN ('reserved', 'replaced');
CREATE INDEX payments_unsettled ON payments (network, asset, payer)
  WHERE state IN ('reserved', 'signed', 'broadcast', 'replaced');
CREATE TABLE claims (
  key bytea PRIMARY KEY CHECK (length(key) = 32),
  payment bigint NOT NULL,
  look_s bigint NOT NULL -- from then on it may be dead
);
CREATE INDEX claims_due ON claims (look_s);
CREATE TABLE transactions (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id bytea NOT NULL CHECK (length(id) = 32),
  network text NOT NULL,
  signer bytea NOT NULL,
  nonce bigint NOT NULL,
  state text NOT NULL CHECK (state IN
    ('signed', 'broadcast', 'mined', 'final', 'replaced')),
  mined_hash bytea,
  block_hash bytea,
  block_number bigint NOT NULL DEFAULT 0,
  created_ms bigint NOT NULL
);
CREATE UNIQUE INDEX transactions_by_id ON transactions (id);
CREATE UNIQUE INDEX transactions_by_nonce
  ON transactions (network, signer, nonce) WHERE state <> 'replaced';
CREATE INDEX transactions_of_signer ON transactions (network, signer, nonce);
CREATE INDEX transactions_open ON transactions (network, signer)
  WHERE state IN ('signed', 'broadcast', 'mined');
CREATE TABLE attempts (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  tx bigint NOT NULL REFERENCES transactions (sequence),
  raw bytea NOT NULL,
  max_fee numeric(78, 0) NOT NULL,
  max_priority numeric(78, 0) NOT NULL,
  created_ms bigint NOT NULL
);
CREATE UNIQUE INDEX attempts_by_hash ON attempts (hash);
CREATE INDEX attempts_of ON attempts (tx);
CREATE TABLE transaction_payments (
  tx bigint NOT NULL REFERENCES transactions (sequence),
  position bigint NOT NULL,
  payment bigint NOT NULL REFERENCES payments (sequence),
  PRIMARY KEY (tx, position)
);
CREATE INDEX transactions_of_payment ON transaction_payments (payment);
CREATE TABLE payment_events (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  payment bigint NOT NULL REFERENCES payments (sequence),
  state text NOT NULL,
  at_ms bigint NOT NULL,
  note text NOT NULL DEFAULT ''
);
CREATE INDEX payment_events_of ON payment_events (payment);
CREATE TABLE holds (
  key bytea PRIMARY KEY,
  network text NOT NULL,
  asset bytea NOT NULL,
  payer bytea NOT NULL,
  amount numeric(78, 0) NOT NULL,
  made_ms bigint NOT NULL,
  until_ms bigint NOT NULL,
  used boolean NOT NULL DEFAULT false
);
CREATE INDEX holds_of ON holds (network, asset, payer) WHERE NOT used;
CREATE INDEX holds_due ON holds (until_ms);
CREATE TABLE spending (
  day bigint NOT NULL,
  network text NOT NULL,
  scope text NOT NULL CHECK (scope IN ('payer', 'caller', 'total')),
  who text NOT NULL,
  gwei bigint NOT NULL,
  PRIMARY KEY (day, network, scope, who)
);
CREATE TABLE lanes (
  network text NOT NULL,
  signer bytea NOT NULL,
  owner text NOT NULL,
  token bigint NOT NULL,
  until_ms bigint NOT NULL,
  PRIMARY KEY (network, signer)
);
CREATE TABLE instances (
  owner text PRIMARY KEY,
  until_ms bigint NOT NULL
);
CREATE TABLE outbox (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hook text NOT NULL,
  payment bigint NOT NULL REFERENCES payments (sequence),
  state text NOT NULL,
  at_ms bigint NOT NULL,
  due_ms bigint NOT NULL,
  tries bigint NOT NULL DEFAULT 0,
  dead boolean NOT NULL DEFAULT false,
  error text NOT NULL DEFAULT ''
);
CREATE INDEX outbox_due ON outbox (due_ms) WHERE NOT dead;
CREATE INDEX outbox_of ON outbox (payment);
CREATE TABLE resources (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL,
  key_hash bytea NOT NULL CHECK (length(key_hash) = 32),
  url text NOT NULL,
  type text NOT NULL,
  x402_version bigint NOT NULL,
  accepts text NOT NULL,
  extensions text,
  metadata text,
  settled boolean NOT NULL DEFAULT false,
  updated_ms bigint NOT NULL
);
CREATE UNIQUE INDEX resources_by_key ON resources (key_hash);
CREATE INDEX resources_by_time ON resources (updated_ms);
CREATE TABLE resource_offers (
  resource bigint NOT NULL REFERENCES resources (sequence) ON DELETE CASCADE,
  scheme text NOT NULL,
  network text NOT NULL,
  pay_to text NOT NULL
);
CREATE INDEX resource_offers_of ON resource_offers (resource);
CREATE TABLE resource_extensions (
  resource bigint NOT NULL REFERENCES resources (sequence) ON DELETE CASCADE,
  name text NOT NULL
);
CREATE INDEX resource_extensions_of ON resource_extensions (resource);
CREATE TABLE heartbeat (
  one bigint PRIMARY KEY CHECK (one = 1),
  at_ms bigint NOT NULL,
  forgotten_s bigint NOT NULL
);
INSERT INTO heartbeat VALUES (1, 0, 0);
CREATE TYPE x402_answer AS (
  outcome text, claimed boolean, fenced boolean, number bigint, words text,
  key bytea, id bytea, network text, wire_network text, asset bytea,
  payer bytea, pay_to bytea, amount text, nonce bytea, valid_before bigint,
  scheme text, x402_version bigint, fingerprint bytea, payload_hash bytea,
  idem_scope text, idem_key text, caller text, owner text, call_to bytea,
  calldata bytea, state_calldata bytea, gas_limit bigint, may_share boolean,
  cost_gwei bigint, state text, reason text, message text,
  transaction_hash bytea, block_number bigint, credited boolean, answer text,
  created_ms bigint, updated_ms bigint
);
CREATE VIEW x402_payments AS SELECT sequence, tx, key, id, network,
  wire_network, asset, payer, pay_to, amount::text AS amount, nonce,
  valid_before, scheme, x402_version, fingerprint, payload_hash, idem_scope,
  idem_key, caller, owner, call_to, calldata, state_calldata, gas_limit,
  may_share, cost_gwei, state, reason, message, transaction_hash,
  block_number, credited, answer, created_ms, updated_ms FROM payments;
CREATE FUNCTION x402_now() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;
CREATE FUNCTION x402_answer(a_outcome text, a_claimed boolean,
  a_fenced boolean, a_number bigint, a_words text, a_shown bigint[])
RETURNS SETOF x402_answer LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RETURN QUERY SELECT a_outcome, a_claimed, a_fenced, a_number, a_words,
    p.key, p.id, p.network, p.wire_network, p.asset, p.payer, p.pay_to,
    p.amount, p.nonce, p.valid_before, p.scheme, p.x402_version,
    p.fingerprint, p.payload_hash, p.idem_scope, p.idem_key, p.caller,
    p.owner, p.call_to, p.calldata, p.state_calldata, p.gas_limit,
    p.may_share, p.cost_gwei, p.state, p.reason, p.message,
    p.transaction_hash, p.block_number, p.credited, p.answer, p.created_ms,
    p.updated_ms
  FROM (SELECT 1) AS one LEFT JOIN (
    unnest(a_shown) WITH ORDINALITY AS shown (shown, at)
    JOIN x402_payments AS q ON q.sequence = shown.shown) AS p ON true
  ORDER BY p.at;
END $$;
CREATE FUNCTION x402_of_key(a_key bytea) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT payment FROM claims WHERE key = a_key $$;
CREATE FUNCTION x402_may(a_steps text[], a_from text, a_to text)
RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT (a_from || '>' || a_to) = ANY (a_steps) $$;
CREATE FUNCTION x402_step(a_payments bigint[], a_to text, a_note text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE payments SET state = a_to, updated_ms = x402_now()
    WHERE sequence = ANY (a_payments);
  INSERT INTO payment_events (payment, state, at_ms, note)
    SELECT p, a_to, x402_now(), coalesce(a_note, '')
    FROM unnest(a_payments) AS p;
END $$;
CREATE FUNCTION x402_spend(a_day bigint, a_network text, a_payer text,
  a_caller text, a_gwei bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO spending AS s (day, network, scope, who, gwei)
    VALUES (a_day, a_network, 'payer', a_payer, greatest(a_gwei, 0)),
      (a_day, a_network, 'caller', a_caller, greatest(a_gwei, 0)),
      (a_day, a_network, 'total', '', greatest(a_gwei, 0))
    ON CONFLICT (day, network, scope, who) DO UPDATE SET gwei =
      least(greatest(s.gwei::numeric + a_gwei, 0), 9223372036854775807);
END $$;
CREATE FUNCTION x402_over(a_day bigint, a_network text, a_scope text,
  a_who text, a_limit bigint, a_cost bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_spent bigint := 0;
BEGIN
  IF a_limit = 0 THEN
    RETURN '';
  END IF;
  SELECT coalesce(max(gwei), 0) INTO v_spent FROM spending WHERE day = a_day
    AND network = a_network AND scope = a_scope AND who = a_who;
  IF a_cost <= a_limit AND v_spent <= a_limit - a_cost THEN
    RETURN '';
  END IF;
  RETURN 'the gas of this '
    || CASE a_scope WHEN 'total' THEN 'chain' ELSE a_scope END
    || '''s payments has reached its ceiling of ' || a_limit
    || ' gwei a day: ' || v_spent || ' spent, ' || a_cost
    || ' more needed; nothing was sent';
END $$;
CREATE FUNCTION x402_spend_anew(a_payment bigint, a_cost bigint)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v payments;
BEGIN
  SELECT * INTO v FROM payments WHERE sequence = a_payment;
  IF v.spend_day IS NOT NULL THEN
    PERFORM x402_spend(v.spend_day, v.network, encode(v.payer, 'hex'),
      v.caller, a_cost - v.cost_gwei);
  END IF;
  UPDATE payments SET cost_gwei = a_cost WHERE sequence = a_payment;
END $$;
CREATE FUNCTION x402_reserve(a_key bytea, a_id bytea, a_network text,
  a_wire_network text, a_asset bytea, a_payer bytea, a_pay_to bytea,
  a_amount numeric, a_nonce bytea, a_valid_before bigint, a_scheme text,
  a_version bigint, a_fingerprint bytea, a_payload_hash bytea,
  a_idem_scope text, a_idem_key text, a_caller text, a_owner text,
  a_call_to bytea, a_calldata bytea, a_state_calldata bytea,
  a_gas_limit bigint, a_may_share boolean, a_cost bigint,
  a_payer_limit bigint, a_caller_limit bigint, a_total_limit bigint,
  a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_there record;
  v_day bigint;
  v_words text := '';
  v_payer text := encode(a_payer, 'hex');
  v_sequence bigint;
BEGIN
  IF a_idem_key IS NOT NULL THEN
    SELECT sequence, key, fingerprint INTO v_there FROM payments
      WHERE idem_scope = a_idem_scope AND idem_key = a_idem_key;
    IF FOUND AND (v_there.key <> a_key
        OR v_there.fingerprint <> a_fingerprint) THEN
      RETURN QUERY SELECT * FROM x402_answer('conflict', false, false, 0, '',
        ARRAY[v_there.sequence]);
      RETURN;
    END IF;
  END IF;
  SELECT sequence, state INTO v_there FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF FOUND AND NOT x402_may(a_steps, v_there.state, 'reserved') THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '',
      ARRAY[v_there.sequence]);
    RETURN;
  END IF;
  IF a_valid_before < (SELECT forgotten_s FROM heartbeat WHERE one = 1) THEN
    RETURN QUERY SELECT * FROM x402_answer('policy', false, false, 0,
      'its validBefore is long past; nothing was sent', NULL);
    RETURN;
  END IF;
  IF a_payer_limit > 0 OR a_caller_limit > 0 OR a_total_limit > 0 THEN
    v_day := x402_now() / 86400000;
    v_words := x402_over(v_day, a_network, 'payer', v_payer, a_payer_limit,
      a_cost);
    IF v_words = '' THEN
      v_words := x402_over(v_day, a_network, 'caller', a_caller,
        a_caller_limit, a_cost);
    END IF;
    IF v_words = '' THEN
      v_words := x402_over(v_day, a_network, 'total', '', a_total_limit,
        a_cost);
    END IF;
    IF v_words <> '' THEN
      RETURN QUERY SELECT * FROM x402_answer('policy', false, false, 0,
        v_words, ARRAY[v_there.sequence]);
      RETURN;
    END IF;
    PERFORM x402_spend(v_day, a_network, v_payer, a_caller, a_cost);
  END IF;
  UPDATE holds SET used = true WHERE key = a_key AND NOT used;
  IF v_there.sequence IS NULL THEN
    INSERT INTO payments AS p (key, id, network, wire_network, asset, payer,
      pay_to, amount, nonce, valid_before, scheme, x402_version, fingerprint,
      payload_hash, idem_scope, idem_key, caller, owner, call_to, calldata,
      state_calldata, gas_limit, may_share, cost_gwei, spend_day, state,
      created_ms, updated_ms)
    VALUES (a_key, a_id, a_network, a_wire_network, a_asset, a_payer,
      a_pay_to, a_amount, a_nonce, a_valid_before, a_scheme, a_version,
      a_fingerprint, a_payload_hash, a_idem_scope, a_idem_key, a_caller,
      a_owner, a_call_to, a_calldata, a_state_calldata, a_gas_limit,
      a_may_share, a_cost, v_day, 'reserved', x402_now(), x402_now())
    RETURNING p.sequence INTO v_sequence;
    INSERT INTO claims (key, payment, look_s)
      VALUES (a_key, v_sequence, a_valid_before);
  ELSE
    v_sequence := v_there.sequence;
    UPDATE payments SET wire_network = a_wire_network, asset = a_asset,
      pay_to = a_pay_to, amount = a_amount, valid_before = a_valid_before, scheme = a_scheme,
      x402_version = a_version, fingerprint = a_fingerprint,
      payload_hash = a_payload_hash, idem_scope = a_idem_scope,
      idem_key = a_idem_key, caller = a_caller, owner = a_owner,
      call_to = a_call_to, calldata = a_calldata,
      state_calldata = a_state_calldata, gas_limit = a_gas_limit,
      may_share = a_may_share, cost_gwei = a_cost, spend_day = v_day,
      state = 'reserved', reason = '', message = '', transaction_hash = NULL,
      tx = NULL, block_number = 0, created_ms = x402_now(),
      updated_ms = x402_now() WHERE sequence = v_sequence;
    UPDATE claims SET look_s = a_valid_before WHERE key = a_key;
  END IF;
  INSERT INTO payment_events (payment, state, at_ms)
    VALUES (v_sequence, 'reserved', x402_now());
  RETURN QUERY SELECT * FROM x402_answer('ok', true, false, 0, '',
    ARRAY[v_sequence]);
END $$;
CREATE FUNCTION x402_release(a_key bytea, a_owner text, a_note text,
  a_steps text[]) RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
BEGIN
  SELECT sequence, state, owner INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v.owner <> a_owner OR NOT x402_may(a_steps, v.state, 'cancelled') THEN
    v_outcome := 'conflict';
  ELSE
    PERFORM x402_step(ARRAY[v.sequence], 'cancelled', a_note);
    PERFORM x402_spend_anew(v.sequence, 0);
    UPDATE payments SET idem_scope = NULL, idem_key = NULL
      WHERE sequence = v.sequence;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, false, 0, '',
    ARRAY[v.sequence]);
END $$;
CREATE FUNCTION x402_hand_over(a_key bytea, a_owner text)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
BEGIN
  SELECT sequence, state, owner INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v.owner <> a_owner OR v.state NOT IN ('reserved', 'replaced') THEN
    v_outcome := 'conflict';
  ELSE
    UPDATE payments SET owner = '' WHERE sequence = v.sequence;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, false, 0, '',
    ARRAY[v.sequence]);
END $$;
CREATE FUNCTION x402_take_over(a_network text, a_owner text, a_limit bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_taken bigint[];
BEGIN
  v_taken := ARRAY(SELECT p.sequence FROM payments AS p
    WHERE p.network = a_network AND p.state IN ('reserved', 'replaced')
    AND (p.owner IN ('', a_owner) OR NOT EXISTS (SELECT 1 FROM instances AS i
      WHERE i.owner = p.owner AND i.until_ms > x402_now()))
    ORDER BY p.sequence LIMIT a_limit);
  UPDATE payments SET owner = a_owner WHERE sequence = ANY (v_taken);
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', v_taken);
END $$;
CREATE FUNCTION x402_end(a_key bytea, a_owner text, a_of bytea, a_state text,
  a_reason text, a_message text, a_hash text, a_block bigint, a_cost bigint,
  a_hooks text[], a_steps text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_hash bytea;
BEGIN
  SELECT sequence, state, owner, tx INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND THEN
    RETURN 'not_found';
  ELSIF v.state = a_state THEN
    RETURN 'ok'; -- the same end twice
  ELSIF a_state = 'broadcast' OR NOT x402_may(a_steps, v.state, a_state) THEN
    RETURN 'conflict'; -- back to broadcast goes by x402_mark_dropped only
  ELSIF v.owner <> a_owner
      OR (a_state <> 'settled' AND v.tx IS DISTINCT FROM
        (SELECT tx FROM attempts WHERE hash = a_of)) THEN
    RETURN 'conflict'; -- another's by now, or signed anew since
  END IF;
  PERFORM x402_step(ARRAY[v.sequence], a_state, a_message);
  IF a_state <> 'replaced' THEN
    UPDATE payments SET reason = a_reason, message = a_message,
      block_number = a_block WHERE sequence = v.sequence;
    IF a_hash <> '' THEN
      v_hash := decode(substr(a_hash, 3), 'hex');
      UPDATE payments SET transaction_hash = v_hash, other_hash = CASE WHEN
        EXISTS (SELECT 1 FROM attempts WHERE hash = v_hash) THEN NULL
        ELSE v_hash END WHERE sequence = v.sequence;
    END IF;
    INSERT INTO outbox (hook, payment, state, at_ms, due_ms)
      SELECT h, v.sequence, a_state, x402_now(), x402_now()
      FROM unnest(a_hooks) AS h;
  END IF;
  IF a_cost >= 0 THEN
    PERFORM x402_spend_anew(v.sequence, a_cost);
  END IF;
  RETURN 'ok';
END $$;
CREATE FUNCTION x402_finish(a_key bytea, a_owner text, a_of bytea,
  a_state text, a_reason text, a_message text, a_hash text, a_block bigint,
  a_cost bigint, a_hooks text[], a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_outcome text := x402_end(a_key, a_owner, a_of, a_state, a_reason,
    a_message, a_hash, a_block, a_cost, a_hooks, a_steps);
BEGIN
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, false, 0, '',
    ARRAY(SELECT payment FROM claims WHERE key = a_key));
END $$;
CREATE FUNCTION x402_credit(a_key bytea, a_answer text)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
  v_claimed boolean := false;
BEGIN
  SELECT sequence, state, credited INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v.state NOT IN ('settled', 'provisioned', 'broadcast') THEN
    v_outcome := 'conflict';
  ELSIF NOT v.credited THEN
    UPDATE payments SET credited = true, answer = a_answer,
      updated_ms = x402_now() WHERE sequence = v.sequence AND NOT credited;
    v_claimed := FOUND;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, v_claimed, false, 0, '',
    ARRAY[v.sequence]);
END $$;
CREATE FUNCTION x402_find(a_id bytea, a_key bytea, a_hash bytea,
  a_payload bytea, a_scope text, a_idem text)
RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  v bigint;
  v_all bigint[];
  v_bucket bigint;
  v_first bigint;
BEGIN
  IF a_id IS NOT NULL THEN
    SELECT sequence INTO v FROM payments WHERE id = a_id;
  END IF;
  IF v IS NULL AND a_key IS NOT NULL THEN
    v := x402_of_key(a_key);
  END IF;
  IF v IS NULL AND a_hash IS NOT NULL THEN
    v_all := ARRAY(SELECT l.payment FROM attempts AS a
      JOIN transaction_payments AS l ON l.tx = a.tx
      WHERE a.hash = a_hash ORDER BY l.position);
    IF cardinality(v_all) = 0 THEN
      v_all := ARRAY(SELECT sequence FROM payments WHERE other_hash = a_hash
        ORDER BY sequence LIMIT 220);
    END IF;
    IF cardinality(v_all) > 0 THEN
      RETURN v_all;
    END IF;
  END IF;
  IF v IS NULL AND a_payload IS NOT NULL THEN
    SELECT min(sequence) >> 14 INTO v_first FROM payments;
    SELECT max(sequence) >> 14 INTO v_bucket FROM payments;
    WHILE v IS NULL AND v_bucket >= v_first LOOP
      SELECT sequence INTO v FROM payments WHERE sequence >> 14 = v_bucket
        AND substr(payload_hash, 1, 8) = substr(a_payload, 1, 8)
        AND payload_hash = a_payload ORDER BY sequence DESC LIMIT 1;
      v_bucket := v_bucket - 1;
    END LOOP;
  END IF;
  IF v IS NULL AND a_scope IS NOT NULL AND a_idem IS NOT NULL THEN
    SELECT sequence INTO v FROM payments
      WHERE idem_scope = a_scope AND idem_key = a_idem;
  END IF;
  RETURN ARRAY[v];
END $$;
CREATE FUNCTION x402_payment_get(a_id bytea, a_key bytea, a_hash bytea,
  a_payload bytea, a_scope text, a_idem text)
RETURNS SETOF x402_answer LANGUAGE plpgsql STABLE AS $$
DECLARE
  v bigint[] := x402_find(a_id, a_key, a_hash, a_payload, a_scope, a_idem);
BEGIN
  RETURN QUERY SELECT * FROM x402_answer(
    CASE WHEN v[1] IS NULL THEN 'not_found' ELSE 'ok' END, false, false, 0,
    '', v);
END $$;
CREATE FUNCTION x402_hold(a_key bytea, a_network text, a_asset bytea,
  a_payer bytea, a_amount numeric, a_balance numeric, a_until bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_now bigint := x402_now();
  v_taken numeric;
BEGIN
  SELECT sequence, state INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF FOUND AND v.state <> 'cancelled' THEN
    RETURN QUERY SELECT * FROM x402_answer('conflict', false, false, 0, '',
      ARRAY[v.sequence]);
    RETURN;
  END IF;
  SELECT coalesce(sum(amount), 0) INTO v_taken FROM (
    SELECT p.amount FROM payments AS p WHERE p.network = a_network
      AND p.asset = a_asset AND p.payer = a_payer
      AND p.state IN ('reserved', 'signed', 'broadcast', 'replaced')
    UNION ALL
    SELECT h.amount FROM holds AS h WHERE h.network = a_network
      AND h.asset = a_asset AND h.payer = a_payer AND NOT h.used
      AND h.key <> a_key AND h.until_ms > v_now) AS taken;
  IF v_taken + a_amount > a_balance THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0,
      v_taken || ' of a balance of ' || a_balance || ' is promised already',
      ARRAY[v.sequence]);
    RETURN;
  END IF;
  INSERT INTO holds AS h (key, network, asset, payer, amount, made_ms,
    until_ms) VALUES (a_key, a_network, a_asset, a_payer, a_amount, v_now,
    a_until)
  ON CONFLICT (key) DO UPDATE SET amount = excluded.amount,
    made_ms = CASE WHEN h.until_ms > v_now THEN h.made_ms ELSE v_now END,
    until_ms = excluded.until_ms, used = false;
  RETURN QUERY SELECT * FROM x402_answer('ok', true, false, 0, '',
    ARRAY[v.sequence]);
END $$;
CREATE FUNCTION x402_hold_get(a_key bytea)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v bigint;
BEGIN
  SELECT made_ms INTO v FROM holds WHERE key = a_key
    AND (used OR until_ms > x402_now());
  RETURN QUERY SELECT * FROM x402_answer(
    CASE WHEN FOUND THEN 'ok' ELSE 'not_found' END, false, false,
    coalesce(v, 0), '', NULL);
END $$;
CREATE FUNCTION x402_lane_acquire(a_network text, a_signer bytea,
  a_owner text, a_ttl bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint := x402_now();
  v_token bigint;
BEGIN
  INSERT INTO lanes AS l (network, signer, owner, token, until_ms)
    VALUES (a_network, a_signer, a_owner, 1, v_now + a_ttl)
    ON CONFLICT (network, signer) DO UPDATE SET
      token = l.token + CASE WHEN l.owner <> a_owner THEN 1 ELSE 0 END,
      owner = a_owner, until_ms = v_now + a_ttl
      WHERE l.owner = a_owner OR l.until_ms <= v_now
    RETURNING l.token INTO v_token;
  RETURN QUERY SELECT * FROM x402_answer('ok', v_token IS NOT NULL, false,
    coalesce(v_token, 0), '', NULL);
END $$;
CREATE FUNCTION x402_leased(a_network text, a_signer bytea, a_owner text,
  a_token bigint) RETURNS boolean LANGUAGE sql AS
$$ SELECT EXISTS (SELECT 1 FROM lanes WHERE network = a_network
  AND signer = a_signer AND owner = a_owner AND token = a_token) $$;
CREATE FUNCTION x402_journal_signed(a_id bytea, a_network text,
  a_signer bytea, a_owner text, a_token bigint, a_nonce bigint,
  a_created bigint, a_raw bytea, a_max_fee numeric, a_max_priority numeric,
  a_attempt_created bigint, a_keys bytea, a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_count bigint := length(a_keys) / 32;
  v_payments bigint[];
  v_tx bigint;
BEGIN
  IF EXISTS (SELECT 1 FROM transactions WHERE id = a_id) THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', NULL);
    RETURN;
  END IF;
  IF NOT x402_leased(a_network, a_signer, a_owner, a_token) THEN
    RETURN QUERY SELECT * FROM x402_answer('conflict', false, true, 0, '',
      NULL);
    RETURN;
  END IF;
  v_payments := ARRAY(SELECT p.sequence
    FROM generate_series(0, v_count - 1) AS at
    JOIN claims AS c ON c.key = substr(a_keys, (at * 32 + 1)::integer, 32)
    JOIN payments AS p ON p.sequence = c.payment
    WHERE p.owner = a_owner AND x402_may(a_steps, p.state, 'signed')
    ORDER BY at);
  IF (SELECT count(DISTINCT p) FROM unnest(v_payments) AS p) <> v_count
      OR EXISTS (SELECT 1 FROM transactions WHERE network = a_network
        AND signer = a_signer AND nonce = a_nonce AND state <> 'replaced')
      OR EXISTS (SELECT 1 FROM attempts WHERE hash = a_id) THEN
    RETURN QUERY SELECT * FROM x402_answer('conflict', false, false, 0, '',
      NULL);
    RETURN;
  END IF;
  INSERT INTO transactions (id, network, signer, nonce, state, created_ms)
    VALUES (a_id, a_network, a_signer, a_nonce, 'signed', a_created)
    RETURNING sequence INTO v_tx;
  INSERT INTO attempts (hash, tx, raw, max_fee, max_priority, created_ms)
    VALUES (a_id, v_tx, a_raw, a_max_fee, a_max_priority, a_attempt_created);
  INSERT INTO transaction_payments (tx, position, payment)
    SELECT v_tx, at - 1, p
    FROM unnest(v_payments) WITH ORDINALITY AS l (p, at);
  UPDATE payments SET state = 'signed', tx = v_tx, transaction_hash = a_id,
    updated_ms = x402_now() WHERE sequence = ANY (v_payments);
  INSERT INTO payment_events (payment, state, at_ms)
    SELECT p, 'signed', x402_now() FROM unnest(v_payments) AS p;
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', NULL);
END $$;
CREATE FUNCTION x402_journal_attempt(a_id bytea, a_network text,
  a_signer bytea, a_owner text, a_token bigint, a_hash bytea, a_raw bytea,
  a_max_fee numeric, a_max_priority numeric, a_created bigint, a_max bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
  v_fenced boolean := false;
BEGIN
  SELECT sequence, state, network, signer INTO v FROM transactions
    WHERE id = a_id;
  IF NOT FOUND THEN
    v_outcome := 'conflict';
  ELSIF EXISTS (SELECT 1 FROM attempts WHERE hash = a_hash
      AND tx = v.sequence) THEN
    v_outcome := 'ok'; -- journalled before
  ELSIF NOT x402_leased(a_network, a_signer, a_owner, a_token) THEN
    v_outcome := 'conflict';
    v_fenced := true;
  ELSIF v.state NOT IN ('signed', 'broadcast') OR v.network <> a_network
      OR v.signer <> a_signer
      OR (SELECT count(*) FROM attempts WHERE tx = v.sequence) >= a_max
      OR EXISTS (SELECT 1 FROM attempts WHERE hash = a_hash) THEN
    v_outcome := 'conflict';
  ELSE
    INSERT INTO attempts (hash, tx, raw, max_fee, max_priority, created_ms)
      VALUES (a_hash, v.sequence, a_raw, a_max_fee, a_max_priority,
        a_created);
    UPDATE payments SET transaction_hash = a_hash
      WHERE tx = v.sequence AND state IN ('signed', 'broadcast');
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, v_fenced, 0, '',
    NULL);
END $$;
CREATE FUNCTION x402_step_all(a_tx bigint, a_to text, a_note text,
  a_steps text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM x402_step(ARRAY(SELECT p.sequence FROM payments AS p
    WHERE p.tx = a_tx AND x402_may(a_steps, p.state, a_to)
    ORDER BY p.sequence), a_to, a_note);
END $$;
CREATE FUNCTION x402_mark_broadcast(a_id bytea, a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
BEGIN
  SELECT sequence, state INTO v FROM transactions WHERE id = a_id;
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v.state = 'signed' THEN -- else mined meanwhile, or said before
    UPDATE transactions SET state = 'broadcast' WHERE sequence = v.sequence;
    PERFORM x402_step(ARRAY(SELECT p.sequence FROM payments AS p
      WHERE p.tx = v.sequence AND p.state = 'signed'
      AND x402_may(a_steps, p.state, 'broadcast') ORDER BY p.sequence),
      'broadcast', '');
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, false, 0, '',
    NULL);
END $$;
CREATE FUNCTION x402_mark_replaced(a_id bytea, a_network text,
  a_signer bytea, a_owner text, a_token bigint, a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
  v_fenced boolean := NOT x402_leased(a_network, a_signer, a_owner, a_token);
BEGIN
  SELECT sequence, state INTO v FROM transactions WHERE id = a_id;
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v_fenced OR v.state IN ('mined', 'final') THEN
    v_outcome := 'conflict';
  ELSIF v.state <> 'replaced' THEN
    UPDATE transactions SET state = 'replaced' WHERE sequence = v.sequence;
    PERFORM x402_step_all(v.sequence, 'replaced',
      'another transaction took the nonce', a_steps);
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, v_fenced, 0, '',
    NULL);
END $$;
CREATE FUNCTION x402_mark_mined(a_id bytea, a_network text, a_signer bytea,
  a_owner text, a_token bigint, a_hash bytea, a_block bigint,
  a_block_hash bytea, a_keys bytea, a_states text[], a_reasons text[],
  a_messages text[], a_hashes text[], a_blocks bigint[], a_costs bigint[],
  a_hooks text[], a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_count integer := length(a_keys) / 32;
  v_shown bigint[];
  v_outcome text;
  v_fenced boolean := NOT x402_leased(a_network, a_signer, a_owner, a_token);
BEGIN
  SELECT sequence, state INTO v FROM transactions WHERE id = a_id;
  v_outcome := CASE WHEN NOT FOUND THEN 'not_found'
    WHEN v_fenced OR v.state = 'replaced' THEN 'conflict' ELSE 'ok' END;
  v_shown := ARRAY(SELECT c.payment
    FROM generate_series(0, v_count - 1) AS at
    JOIN claims AS c ON c.key = substr(a_keys, at * 32 + 1, 32)
    ORDER BY at);
  IF v_outcome = 'ok' AND cardinality(v_shown) <> v_count THEN
    v_outcome := 'not_found';
  END IF;
  IF v_outcome <> 'ok' THEN
    RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, v_fenced, 0, '',
      NULL);
    RETURN;
  END IF;
  IF v.state <> 'final' THEN
    UPDATE transactions SET state = 'mined', mined_hash = a_hash,
      block_hash = a_block_hash, block_number = a_block
      WHERE sequence = v.sequence;
  END IF;
  FOR i IN 1 .. v_count LOOP
    PERFORM x402_end(substr(a_keys, i * 32 - 31, 32), a_owner, a_id,
      a_states[i], a_reasons[i], a_messages[i], a_hashes[i], a_blocks[i],
      a_costs[i], a_hooks, a_steps);
  END LOOP;
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', v_shown);
END $$;
CREATE FUNCTION x402_mark_final(a_id bytea, a_network text, a_signer bytea,
  a_owner text, a_token bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
  v_fenced boolean := NOT x402_leased(a_network, a_signer, a_owner, a_token);
BEGIN
  SELECT sequence, state, mined_hash INTO v FROM transactions
    WHERE id = a_id;
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  ELSIF v_fenced OR v.state NOT IN ('mined', 'final') THEN
    v_outcome := 'conflict';
  ELSIF v.state = 'mined' THEN
    UPDATE transactions SET state = 'final' WHERE sequence = v.sequence;
    UPDATE payments SET calldata = '', state_calldata = ''
      WHERE tx = v.sequence
      AND state IN ('settled', 'provisioned', 'reverted', 'expired');
    UPDATE attempts SET raw = ''
      WHERE tx = v.sequence AND hash <> v.mined_hash;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, v_fenced, 0, '',
    NULL);
END $$;
CREATE FUNCTION x402_mark_dropped(a_id bytea, a_network text,
  a_signer bytea, a_owner text, a_token bigint, a_block_hash bytea,
  a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_back bigint[];
  v_fenced boolean := NOT x402_leased(a_network, a_signer, a_owner, a_token);
BEGIN
  SELECT sequence, state, block_hash INTO v FROM transactions
    WHERE id = a_id;
  IF NOT FOUND OR v_fenced OR v.state <> 'mined'
      OR v.block_hash <> a_block_hash THEN
    RETURN QUERY SELECT * FROM x402_answer(
      CASE WHEN v.state IS NULL THEN 'not_found' ELSE 'conflict' END,
      false, v_fenced, 0, '', NULL);
    RETURN;
  END IF;
  UPDATE transactions SET state = 'broadcast', mined_hash = NULL,
    block_hash = NULL, block_number = 0 WHERE sequence = v.sequence;
  INSERT INTO claims (key, payment, look_s)
    SELECT p.key, p.sequence, p.valid_before FROM payments AS p
    WHERE p.tx = v.sequence ON CONFLICT (key) DO NOTHING;
  v_back := ARRAY(SELECT p.sequence FROM transaction_payments AS l
    JOIN payments AS p ON p.sequence = l.payment
    JOIN claims AS c ON c.key = p.key AND c.payment = p.sequence
    WHERE l.tx = v.sequence AND p.tx = v.sequence
    AND p.state IN ('settled', 'reverted')
    AND x402_may(a_steps, p.state, 'broadcast')
    AND p.transaction_hash IN (SELECT hash FROM attempts
      WHERE tx = v.sequence) ORDER BY l.position);
  PERFORM x402_step(v_back, 'broadcast', 'a reorg took its block away');
  UPDATE payments SET block_number = 0, reason = '', message = '',
    owner = a_owner WHERE sequence = ANY (v_back);
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', v_back);
END $$;
CREATE FUNCTION x402_revivable(a_network text, a_signer bytea,
  a_nonce bigint, a_limit bigint)
RETURNS SETOF bigint LANGUAGE sql STABLE AS
$$ SELECT sequence FROM transactions WHERE network = a_network
  AND signer = a_signer AND nonce >= a_nonce
  AND state IN ('mined', 'final') ORDER BY nonce LIMIT a_limit $$;
CREATE FUNCTION x402_outbox_revive(a_sequence bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
BEGIN
  UPDATE outbox SET dead = false, tries = 0, due_ms = x402_now()
    WHERE sequence = a_sequence AND dead;
  RETURN QUERY SELECT * FROM x402_answer(
    CASE WHEN FOUND THEN 'ok' ELSE 'not_found' END, false, false, 0, '',
    NULL);
END $$;
CREATE FUNCTION x402_resource_put(a_key text, a_key_hash bytea, a_url text,
  a_type text, a_version bigint, a_accepts text, a_extensions text, a_metadata text,
  a_settled boolean, a_schemes text[], a_networks text[], a_pay_tos text[],
  a_names text[]) RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_sequence bigint;
BEGIN
  SELECT sequence, settled INTO v FROM resources
    WHERE key_hash = a_key_hash;
  IF FOUND AND v.settled AND NOT a_settled THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', NULL);
    RETURN;
  END IF;
  v_sequence := v.sequence;
  IF v_sequence IS NULL THEN
    INSERT INTO resources (key, key_hash, url, type, x402_version, accepts,
      extensions, metadata, settled, updated_ms) VALUES (a_key, a_key_hash,
      a_url, a_type, a_version, a_accepts, a_extensions, a_metadata, a_settled, x402_now())
      RETURNING sequence INTO v_sequence;
  ELSE
    UPDATE resources SET url = a_url, type = a_type,
      x402_version = a_version, accepts = a_accepts,
      extensions = a_extensions, metadata = a_metadata,
      settled = settled OR a_settled, updated_ms = x402_now()
      WHERE sequence = v_sequence;
    DELETE FROM resource_offers WHERE resource = v_sequence;
    DELETE FROM resource_extensions WHERE resource = v_sequence;
  END IF;
  INSERT INTO resource_offers (resource, scheme, network, pay_to)
    SELECT v_sequence, o.s, o.n, o.p
    FROM unnest(a_schemes, a_networks, a_pay_tos) AS o (s, n, p);
  INSERT INTO resource_extensions (resource, name)
    SELECT v_sequence, e FROM unnest(a_names) AS e;
  RETURN QUERY SELECT * FROM x402_answer('ok', v.sequence IS NULL, false, 0,
    '', NULL);
END $$;
CREATE FUNCTION x402_resources(a_type text, a_pay_to text, a_scheme text,
  a_network text, a_extension text)
RETURNS SETOF resources LANGUAGE sql STABLE AS
$$ SELECT r.* FROM resources AS r WHERE (a_type IS NULL OR r.type = a_type)
  AND ((a_pay_to IS NULL AND a_scheme IS NULL AND a_network IS NULL)
    OR EXISTS (SELECT 1 FROM resource_offers AS o
      WHERE o.resource = r.sequence
      AND (a_pay_to IS NULL OR o.pay_to = a_pay_to)
      AND (a_scheme IS NULL OR o.scheme = a_scheme)
      AND (a_network IS NULL OR o.network = a_network)))
  AND (a_extension IS NULL OR EXISTS (SELECT 1 FROM resource_extensions AS e
    WHERE e.resource = r.sequence AND e.name = a_extension)) $$;
CREATE FUNCTION x402_is_done(a_payment bigint)
RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT EXISTS (SELECT 1 FROM payments AS p WHERE p.sequence = a_payment
    AND p.state IN ('settled', 'provisioned', 'reverted', 'expired',
      'cancelled'))
  AND NOT EXISTS (SELECT 1 FROM transaction_payments AS l
    JOIN transactions AS t ON t.sequence = l.tx WHERE l.payment = a_payment
    AND t.state NOT IN ('final', 'replaced')) $$;
CREATE FUNCTION x402_forget_claims(a_dead_before bigint, a_limit bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_due bytea[];
BEGIN
  UPDATE heartbeat SET forgotten_s = a_dead_before
    WHERE one = 1 AND forgotten_s < a_dead_before;
  v_due := ARRAY(SELECT key FROM claims WHERE look_s < a_dead_before
    ORDER BY look_s LIMIT a_limit);
  DELETE FROM claims AS c USING payments AS p WHERE c.key = ANY (v_due)
    AND p.sequence = c.payment AND p.valid_before < a_dead_before
    AND (p.credited OR p.state NOT IN ('settled', 'provisioned'))
    AND x402_is_done(p.sequence);
  UPDATE claims SET look_s = a_dead_before + 3600 WHERE key = ANY (v_due);
  DELETE FROM holds WHERE key IN (SELECT key FROM holds
    WHERE until_ms < a_dead_before * 1000 LIMIT a_limit);
  DELETE FROM spending WHERE day < x402_now() / 86400000 - 2;
  DELETE FROM instances WHERE until_ms < x402_now() - 86400000;
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false,
    cardinality(v_due)::bigint, '', NULL);
END $$;
CREATE FUNCTION x402_retire(a_dead_before bigint, a_limit bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_gone bigint[];
  v_count bigint;
BEGIN
  v_gone := ARRAY(SELECT p.sequence FROM (SELECT sequence, valid_before
      FROM payments ORDER BY sequence LIMIT a_limit * 4) AS p
    WHERE p.valid_before < a_dead_before AND x402_is_done(p.sequence)
    ORDER BY p.sequence LIMIT a_limit);
  v_count := cardinality(v_gone);
  UPDATE heartbeat SET forgotten_s = a_dead_before
    WHERE one = 1 AND forgotten_s < a_dead_before;
  DELETE FROM claims AS c USING payments AS p
    WHERE p.sequence = ANY (v_gone) AND c.key = p.key
    AND c.payment = p.sequence;
  DELETE FROM payment_events WHERE payment = ANY (v_gone);
  DELETE FROM outbox WHERE payment = ANY (v_gone);
  DELETE FROM transaction_payments WHERE payment = ANY (v_gone);
  DELETE FROM payments WHERE sequence = ANY (v_gone);
  v_gone := ARRAY(SELECT t.sequence FROM transactions AS t
    WHERE t.state IN ('final', 'replaced') AND NOT EXISTS (SELECT 1
      FROM transaction_payments AS l WHERE l.tx = t.sequence)
    AND t.nonce < (SELECT max(n.nonce) FROM transactions AS n
      WHERE n.network = t.network AND n.signer = t.signer)
    LIMIT a_limit);
  DELETE FROM attempts WHERE tx = ANY (v_gone);
  DELETE FROM transactions WHERE sequence = ANY (v_gone);
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false, v_count, '',
    NULL);
END $$;
CREATE TABLE schema_version (version bigint PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now());
INSERT INTO schema_version (version) VALUES (1);
