// The blocks of code in the pages for users, so that what they show is what the
// tests run.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const docs = path.resolve(path.dirname(fileURLToPath(import.meta.url)),
  '../../docs');

/** The fenced blocks of a language in a page of docs/, in order. */
export function blocks(page, language) {
  const text = readFileSync(path.join(docs, page), 'utf8');
  const found = [...text.matchAll(/^```(\S+)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language).map((match) => match[2]);
  assert.ok(found.length > 0, `${page} has no block of ${language}`);
  return found;
}

/** The one block that has this in it. */
export function block(page, language, pattern) {
  const found = blocks(page, language).filter((text) => pattern.test(text));
  assert.equal(found.length, 1, `${page}: ${pattern}`);
  return found[0];
}
