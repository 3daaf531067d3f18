// The provider's attacks of demands.md, 33 to 45, by number, against both
// servers of the provider SDK. What provider.test.mjs tries at length is there
// in short, so that each number has its place.
//
//   node --test tests/system/provider_attacks.test.mjs

import path from 'node:path';

import { attack } from './attacks.table.mjs';
import { startSite } from './provider.lib.mjs';

for (const name of ['content-site', 'content-site-microhttpd'])
  attack(name, ({ f, dir, directory }) => startSite(name, {
    FACILITATOR_URL: f.url, X402_CRAWLER_DIRECTORY: directory,
    X402_JOURNAL: path.join(dir, 'journal') }),
  { finishes: name === 'content-site' });
