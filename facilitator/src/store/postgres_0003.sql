-- 0003: one success is told to whom it was given and to nobody else, what
-- strangers write for nothing is bounded, and a claim without an end of its
-- own outlives its row.
--
-- Some of this was in 0001 for a while, so databases of version 1 and 2 may
-- have part of it: every statement here holds on those as well.
--
-- Going back means restoring the copy that an operator took before.

-- Of whom the one success was given to.
ALTER TABLE payments ADD COLUMN IF NOT EXISTS claim bytea;
CREATE INDEX IF NOT EXISTS resources_unproven ON resources (updated_ms)
  WHERE NOT settled;
-- The one that knows no claim: with it two callers could each be the first.
DROP FUNCTION IF EXISTS x402_credit(bytea, text);

-- The payment that has this key, while its claim lasts. NULL also where its
-- row was retired.
CREATE OR REPLACE FUNCTION x402_of_key(a_key bytea) RETURNS bigint
LANGUAGE sql STABLE AS
$$ SELECT nullif(payment, 0) FROM claims WHERE key = a_key $$;

CREATE OR REPLACE FUNCTION x402_reserve(a_key bytea, a_id bytea, a_network text,
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
  -- Claims of authorizations that old were forgotten: fail closed.
  IF a_valid_before < (SELECT forgotten_s FROM heartbeat WHERE one = 1) THEN
    RETURN QUERY SELECT * FROM x402_answer('policy', false, false, 0,
      'its validBefore is long past; nothing was sent', NULL);
    RETURN;
  END IF;
  -- Its row was retired; what has no end of its own is claimed all the same.
  IF v_there.sequence IS NULL
      AND EXISTS (SELECT 1 FROM claims AS c WHERE c.key = a_key) THEN
    RETURN QUERY SELECT * FROM x402_answer('policy', false, false, 0,
      'it was used here before, long ago; nothing was sent', NULL);
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
    -- A cancelled row keeps its id and history; the rest is said anew.
    v_sequence := v_there.sequence;
    UPDATE payments SET wire_network = a_wire_network, asset = a_asset,
      payer = a_payer, pay_to = a_pay_to, amount = a_amount,
      valid_before = a_valid_before, scheme = a_scheme,
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
    -- Whoever asks and leaves, again and again, makes its history no longer
    -- than FAC_CANCELLED_EVENTS_MAX.
    DELETE FROM payment_events WHERE payment = v_sequence AND sequence <=
      (SELECT sequence FROM payment_events WHERE payment = v_sequence
        ORDER BY sequence DESC LIMIT 1 OFFSET 32);
  END IF;
  INSERT INTO payment_events (payment, state, at_ms)
    VALUES (v_sequence, 'reserved', x402_now());
  RETURN QUERY SELECT * FROM x402_answer('ok', true, false, 0, '',
    ARRAY[v_sequence]);
END $$;

CREATE OR REPLACE FUNCTION x402_release(a_key bytea, a_owner text, a_note text,
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
    -- Nothing happened under this key, so it may be used again.
    UPDATE payments SET idem_scope = NULL, idem_key = NULL
      WHERE sequence = v.sequence;
    -- FAC_CANCELLED_KEEP_S
    UPDATE claims SET look_s = x402_now() / 1000 + 600 WHERE key = a_key;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, false, 0, '',
    ARRAY[v.sequence]);
END $$;

CREATE OR REPLACE FUNCTION x402_credit(a_key bytea, a_answer text,
  a_claim bytea) RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text := 'ok';
  v_claimed boolean := false;
BEGIN
  SELECT sequence, state, credited, claim INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND THEN
    v_outcome := 'not_found';
  -- broadcast: where the operator counts what was submitted.
  ELSIF v.state NOT IN ('settled', 'provisioned', 'broadcast') THEN
    v_outcome := 'conflict';
  ELSIF NOT v.credited THEN
    UPDATE payments SET credited = true, answer = a_answer, claim = a_claim,
      updated_ms = x402_now() WHERE sequence = v.sequence AND NOT credited;
    v_claimed := FOUND;
  ELSE -- again, after a reply that got lost
    v_claimed := coalesce(v.claim = a_claim, false);
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, v_claimed, false, 0, '',
    ARRAY[v.sequence]);
END $$;

CREATE OR REPLACE FUNCTION x402_hold(a_key bytea, a_network text, a_asset bytea,
  a_payer bytea, a_amount numeric, a_balance numeric, a_until bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_now bigint := x402_now();
  v_taken numeric;
  v_payments bigint;
  v_holds bigint;
BEGIN
  SELECT sequence, state INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF FOUND AND v.state <> 'cancelled' THEN
    RETURN QUERY SELECT * FROM x402_answer('conflict', false, false, 0, '',
      ARRAY[v.sequence]);
    RETURN;
  END IF;
  SELECT coalesce(sum(amount), 0), count(*) INTO v_taken, v_payments FROM (
    SELECT p.amount FROM payments AS p WHERE p.network = a_network
      AND p.asset = a_asset AND p.payer = a_payer
      AND p.state IN ('reserved', 'signed', 'broadcast', 'replaced')
      LIMIT 1001) AS taken;
  SELECT v_taken + coalesce(sum(amount), 0), count(*) INTO v_taken, v_holds
    FROM (SELECT h.amount FROM holds AS h WHERE h.network = a_network
      AND h.asset = a_asset AND h.payer = a_payer AND NOT h.used
      AND h.key <> a_key AND h.until_ms > v_now LIMIT 1001) AS taken;
  -- FAC_HOLD_ROWS_MAX of either: more would take too long to add up.
  IF v_payments > 1000 OR v_holds > 1000 THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0,
      'too many payments of this payer are promised already',
      ARRAY[v.sequence]);
    RETURN;
  END IF;
  IF v_taken + a_amount > a_balance THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0,
      v_taken || ' of a balance of ' || a_balance || ' is promised already',
      ARRAY[v.sequence]);
    RETURN;
  END IF;
  -- made_ms of one that still lives stays: it was held since then.
  INSERT INTO holds AS h (key, network, asset, payer, amount, made_ms,
    until_ms) VALUES (a_key, a_network, a_asset, a_payer, a_amount, v_now,
    a_until)
  ON CONFLICT (key) DO UPDATE SET amount = excluded.amount,
    made_ms = CASE WHEN h.until_ms > v_now THEN h.made_ms ELSE v_now END,
    until_ms = excluded.until_ms, used = false;
  RETURN QUERY SELECT * FROM x402_answer('ok', true, false, 0, '',
    ARRAY[v.sequence]);
END $$;

CREATE OR REPLACE FUNCTION x402_mark_final(a_id bytea, a_network text,
  a_signer bytea, a_owner text, a_token bigint)
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
    -- Nobody sends it again: what only a resend needs goes. The mined one's
    -- bytes stay: revive wants them. A delegation's state is no question, but
    -- says what it is, and a Solana transaction is told by the signature that
    -- its bytes begin with.
    UPDATE payments SET calldata = CASE WHEN length(payer) = 32
        THEN substr(calldata, 1, 65) ELSE '' END, state_calldata =
        CASE WHEN substr(state_calldata, 1, 4) = '\xcef6d209'::bytea
        THEN state_calldata ELSE '' END
      WHERE tx = v.sequence
      AND state IN ('settled', 'provisioned', 'reverted', 'expired');
    UPDATE attempts SET raw = ''
      WHERE tx = v.sequence AND hash <> v.mined_hash;
  END IF;
  RETURN QUERY SELECT * FROM x402_answer(v_outcome, false, v_fenced, 0, '',
    NULL);
END $$;

CREATE OR REPLACE FUNCTION x402_resource_put(a_key text, a_key_hash bytea,
  a_url text, a_type text, a_version bigint, a_accepts text,
  a_extensions text, a_metadata text, a_settled boolean, a_schemes text[],
  a_networks text[], a_pay_tos text[], a_names text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_sequence bigint;
BEGIN
  SELECT sequence, settled INTO v FROM resources
    WHERE key_hash = a_key_hash;
  -- What a payment proved, a stranger's claim does not change: it would send
  -- the buyers of a proven listing to another payee.
  IF FOUND AND v.settled AND NOT a_settled THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', NULL);
    RETURN;
  END IF;
  v_sequence := v.sequence;
  IF v_sequence IS NULL THEN
    INSERT INTO resources (key, key_hash, url, type, x402_version, accepts,
      extensions, metadata, settled, updated_ms) VALUES (a_key, a_key_hash,
      a_url, a_type, a_version, a_accepts, a_extensions, a_metadata,
      a_settled, x402_now())
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
  -- FAC_RESOURCES_UNPROVEN_MAX: anybody may post them. No more of them at once
  -- than FAC_RESOURCES_FORGET_MAX.
  IF v.sequence IS NULL AND NOT a_settled THEN
    DELETE FROM resources WHERE sequence IN (SELECT r.sequence
      FROM resources AS r WHERE NOT r.settled
      ORDER BY r.updated_ms DESC, r.sequence DESC OFFSET 5000 LIMIT 256);
  END IF;
  INSERT INTO resource_offers (resource, scheme, network, pay_to)
    SELECT v_sequence, o.s, o.n, o.p
    FROM unnest(a_schemes, a_networks, a_pay_tos) AS o (s, n, p);
  INSERT INTO resource_extensions (resource, name)
    SELECT v_sequence, e FROM unnest(a_names) AS e;
  RETURN QUERY SELECT * FROM x402_answer('ok', v.sequence IS NULL, false, 0,
    '', NULL);
END $$;

CREATE OR REPLACE FUNCTION x402_forget_claims(a_dead_before bigint,
  a_limit bigint) RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_due bytea[];
  v_left bigint[];
  v_last bigint;
BEGIN
  v_due := ARRAY(SELECT key FROM claims WHERE look_s < a_dead_before
    ORDER BY look_s LIMIT a_limit);
  -- Given up, and nothing of it was sent: it may as well come again.
  v_left := ARRAY(SELECT p.sequence FROM claims AS c
    JOIN payments AS p ON p.sequence = c.payment
    WHERE c.key = ANY (v_due) AND p.state = 'cancelled');
  DELETE FROM claims WHERE key = ANY (v_due) AND payment = ANY (v_left);
  DELETE FROM payment_events WHERE payment = ANY (v_left);
  DELETE FROM payments WHERE sequence = ANY (v_left);
  -- One whose success nobody was told stays: it may still be asked for.
  WITH gone AS (DELETE FROM claims AS c USING payments AS p
      WHERE c.key = ANY (v_due)
      AND p.sequence = c.payment AND p.valid_before < a_dead_before
      AND (p.credited OR p.state NOT IN ('settled', 'provisioned'))
      AND x402_is_done(p.sequence) RETURNING p.valid_before)
    SELECT max(valid_before) INTO v_last FROM gone;
  -- By what was forgotten and not by the clock: one that was ahead for a
  -- moment would shut the door for as long as it was ahead.
  UPDATE heartbeat SET forgotten_s = v_last + 1
    WHERE one = 1 AND forgotten_s <= v_last;
  -- What could not go is looked at again in an hour.
  UPDATE claims SET look_s = a_dead_before + 3600 WHERE key = ANY (v_due);
  DELETE FROM holds WHERE key IN (SELECT key FROM holds
    WHERE until_ms < a_dead_before * 1000 LIMIT a_limit);
  DELETE FROM spending WHERE day < x402_now() / 86400000 - 2;
  DELETE FROM instances WHERE until_ms < x402_now() - 86400000;
  RETURN QUERY SELECT * FROM x402_answer('ok', false, false,
    cardinality(v_due)::bigint, '', NULL);
END $$;

CREATE OR REPLACE FUNCTION x402_retire(a_dead_before bigint, a_limit bigint)
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v_gone bigint[];
  v_count bigint;
BEGIN
  -- Of the oldest only, four for each that may go: bounded.
  v_gone := ARRAY(SELECT p.sequence FROM (SELECT sequence, valid_before,
      updated_ms FROM payments ORDER BY sequence LIMIT a_limit * 4) AS p
    WHERE (p.valid_before < a_dead_before
      OR (p.valid_before = 9223372036854775807
        AND p.updated_ms < a_dead_before * 1000))
    AND x402_is_done(p.sequence)
    ORDER BY p.sequence LIMIT a_limit);
  v_count := cardinality(v_gone);
  UPDATE heartbeat SET forgotten_s = g.last + 1
    FROM (SELECT max(valid_before) AS last FROM payments
      WHERE sequence = ANY (v_gone)
      AND valid_before < 9223372036854775807) AS g
    WHERE one = 1 AND forgotten_s <= g.last;
  DELETE FROM claims AS c USING payments AS p
    WHERE p.sequence = ANY (v_gone) AND c.key = p.key
    AND c.payment = p.sequence
    -- One that can never be dead outlives its row, and names none then.
    AND (p.valid_before < 9223372036854775807 OR p.state = 'cancelled');
  UPDATE claims AS c SET payment = 0 FROM payments AS p
    WHERE p.sequence = ANY (v_gone) AND c.key = p.key
    AND c.payment = p.sequence;
  DELETE FROM payment_events WHERE payment = ANY (v_gone);
  DELETE FROM outbox WHERE payment = ANY (v_gone);
  DELETE FROM transaction_payments WHERE payment = ANY (v_gone);
  DELETE FROM payments WHERE sequence = ANY (v_gone);
  -- Transactions that pay nothing any more; the last nonce of each stays.
  v_gone := ARRAY(SELECT t.sequence FROM (SELECT * FROM transactions
      ORDER BY sequence LIMIT a_limit * 4) AS t
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
