// The crash points that every settlement comes by, in order.
export const STEPS = ['before_reserve', 'after_reserve', 'before_journal', 'after_journal', 'before_broadcast',
  'after_broadcast', 'before_mined', 'after_mined', 'before_credit', 'after_credit', 'before_answer'];
