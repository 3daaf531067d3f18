// Many callers, few payments, all at once: how often is a success told?
import http from 'node:http';
import {makePayments} from './ledger.mjs';

/** One request over its own connection: {status, body} or null. */
function ask(agent, url, text) {
  return new Promise((resolve) => {
    const request = http.request(`${url}/settle`, {method: 'POST', agent,
      headers: {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)}}, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        try {
          resolve({status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString())});
        } catch {
          resolve(null);
        }
      });
      response.on('error', () => resolve(null));
    });
    request.on('error', () => resolve(null));
    request.end(text);
  });
}

function outcomeOf(answer) {
  if (!answer) return 'no answer';
  if (answer.body.success) return 'success';
  return answer.body.errorReason ?? `HTTP ${answer.status}`;
}

/**
 * `requests` /settle for `count` payments, all under way at once and spread
 * over the daemons in turn. Nobody names a key: a success is told once.
 * @returns {{payments, outcomes}} successes are in the payments' books
 */
export async function askAllAtOnce(devnet, urls, {requests, count}) {
  const payments = await makePayments(devnet.info, count, 'duplicate');
  const agent = new http.Agent({keepAlive: false, maxSockets: Infinity});
  const outcomes = {};
  await Promise.all(Array.from({length: requests}, async (_, i) => {
    const payment = payments[i % count];
    payment.key = null;
    // Each payment meets every daemon: i and i / count both turn.
    const answer = await ask(agent, urls[(i + Math.floor(i / count)) % urls.length], payment.body);
    payment.asked = (payment.asked ?? 0) + 1;
    const told = outcomeOf(answer);
    outcomes[told] = (outcomes[told] ?? 0) + 1;
    if (told === 'success') payment.successes.push(answer.body.transaction);
    else payment.refusals.push(told);
  }));
  agent.destroy();
  return {payments, outcomes};
}
