// The PostgreSQL of the fault tests: what was committed survives its crash,
// and nothing of it is left when it was stopped.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {execFileSync} from 'node:child_process';
import {startPostgres} from './postgres.mjs';

test('committed rows survive a restart and a crash', async () => {
  const postgres = await startPostgres();
  try {
    execFileSync('psql', ['-qX', '-d', postgres.uri, '-c', 'create table t (n int); insert into t values (1), (2)']);
    for (const signal of ['SIGINT', 'SIGQUIT']) {
      await postgres.restart(signal);
      assert.deepEqual(await postgres.query('select n from t order by n'), [{n: 1}, {n: 2}]);
    }
    await assert.rejects(postgres.query('select nothing'));
  } finally {
    await postgres.stop();
  }
  assert.throws(() => process.kill(postgres.pid(), 0), /ESRCH/);
  await assert.rejects(postgres.query('select 1'));
});
