-- 0002: transactions that paid already (the scheme proof), and the keys by
-- which sellers on Solana find what paid them.
--
-- Going back: DROP FUNCTION x402_grant; DROP FUNCTION x402_refer;
-- DROP FUNCTION x402_of_reference; DROP TABLE payment_references;
-- DELETE FROM schema_version WHERE version = 2.

CREATE TABLE payment_references (
  reference bytea NOT NULL CHECK (length(reference) = 32),
  payment bigint NOT NULL REFERENCES payments (sequence) ON DELETE CASCADE,
  PRIMARY KEY (reference, payment)
);
CREATE INDEX payment_references_of ON payment_references (payment);

-- The newest payment with this reference, by its id; NULL for none.
CREATE FUNCTION x402_of_reference(a_reference bytea) RETURNS bytea
LANGUAGE sql STABLE AS $$
  SELECT p.id FROM payment_references AS r JOIN payments AS p
    ON p.sequence = r.payment WHERE r.reference = a_reference
    ORDER BY r.payment DESC LIMIT 1
$$;

-- References, 32 bytes each, of the row that has this id: a reservation that
-- did not get its key has made none.
CREATE FUNCTION x402_refer(a_id bytea, a_references bytea) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO payment_references (reference, payment)
    SELECT DISTINCT substr(a_references, 1 + 32 * i, 32), p.sequence
    FROM payments AS p, generate_series(0, length(a_references) / 32 - 1) AS i
    WHERE p.id = a_id
  ON CONFLICT DO NOTHING
$$;

-- The second half of a grant: the reservation of the same transaction becomes
-- settled and credited. Only of the row that it made, which its id tells:
-- whoever did not get the key must not end or claim what is there.
CREATE FUNCTION x402_grant(a_key bytea, a_id bytea, a_owner text, a_hash text,
  a_block bigint, a_answer text, a_hooks text[], a_steps text[])
RETURNS SETOF x402_answer LANGUAGE plpgsql AS $$
DECLARE
  v record;
  v_outcome text;
BEGIN
  SELECT sequence, id, state INTO v FROM payments
    WHERE sequence = x402_of_key(a_key);
  IF NOT FOUND OR v.id <> a_id OR v.state <> 'reserved' THEN
    RETURN QUERY SELECT * FROM x402_answer('ok', false, false, 0, '', NULL);
    RETURN;
  END IF;
  v_outcome := x402_end(a_key, a_owner, ''::bytea, 'settled', '', '', a_hash,
    a_block, -1, a_hooks, a_steps);
  IF v_outcome <> 'ok' THEN
    RAISE EXCEPTION 'a reservation of this transaction cannot be settled: %',
      v_outcome;
  END IF;
  UPDATE payments SET credited = true, answer = a_answer,
    updated_ms = x402_now() WHERE sequence = v.sequence;
  RETURN QUERY SELECT * FROM x402_answer('ok', true, false, 0, '',
    ARRAY[v.sequence]);
END $$;
