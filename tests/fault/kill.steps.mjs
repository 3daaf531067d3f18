// The crash points that every settlement comes by, in order.
export const STEPS = ['before_reserve', 'after_reserve', 'before_journal', 'after_journal', 'before_broadcast',
  'after_broadcast', 'before_mined', 'after_mined', 'before_credit', 'after_credit', 'before_answer'];

// Those of a proof that is granted: tests/system/proof.test.mjs kills there.
export const GRANT_STEPS = ['before_grant', 'after_grant'];
