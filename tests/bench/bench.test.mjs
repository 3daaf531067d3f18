// The benchmarks in their short form: that they run and that our daemon fails
// no request. Never how fast.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {measurements} from './bench.mjs';

for (const [name, measure] of Object.entries(measurements)) {
  test(`bench ${name} runs`, async () => {
    const {text, results} = await measure(true);
    assert.match(text, /\| /);
    for (const result of results) {
      // The reference's own failures are its own.
      if (!result.reference) assert.equal(result.failed, 0, JSON.stringify(result));
    }
  });
}
