// The rows that a fault run wrote (FAULT_TABLE), as a table in markdown. A row
// is written only after the three books were found to agree.
import {readFileSync} from 'node:fs';

const rows = readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const seconds = (ms) => (ms === undefined ? '' : (ms / 1000).toFixed(1));
const cells = (row) => [row.fault, row.what, row.struck, row.payments, row.asked, row.unheard, row.settled, row.ended,
  row.told, row.doubled, row.lost, seconds(row.drainedMs)];

console.log('| fault | what happens | times | payments | asked | answers lost | settled | ended without money ' +
  '| told success | doubled | lost | drained after (s) |');
console.log('|---|---|---|---|---|---|---|---|---|---|---|---|');
for (const row of rows) console.log(`| ${cells(row).join(' | ')} |`);
