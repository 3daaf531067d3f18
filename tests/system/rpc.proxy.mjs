// An RPC endpoint that lies: it passes requests on to the real chain and lets
// a function change each answer. mode.answer(method, result, request) returns
// the result to give; mode.http(response, text) may spoil the whole reply.
import http from 'node:http';

export async function startProxy(target, mode) {
  const state = { mode, calls: [] };
  const server = http.createServer((req, res) => {
    let text = '';
    req.on('data', data => { text += data; });
    req.on('end', () => answer(state, target, text, res).catch(() => res.destroy()));
  });
  await new Promise(done => server.listen(0, '127.0.0.1', done));
  state.url = `http://127.0.0.1:${server.address().port}`;
  state.stop = () => new Promise(done => {
    server.closeAllConnections();
    server.close(done);
  });
  return state;
}

async function answer(state, target, text, res) {
  const asked = JSON.parse(text);
  const list = Array.isArray(asked) ? asked : [asked];
  state.calls.push(...list.map(one => one.method));
  if (state.mode.before && await state.mode.before(list, res))
    return;
  const real = await fetch(target, { method: 'POST', body: text,
    headers: { 'content-type': 'application/json' } });
  let answers = [].concat(await real.json());
  if (state.mode.answer)
    answers = answers.map(one => {
      const request = list.find(other => other.id === one.id);
      const changed = state.mode.answer(request.method, one.result, request, one);
      return changed === undefined ? one : changed;
    }).filter(one => one !== null);
  let reply = JSON.stringify(Array.isArray(asked) ? answers : answers[0]);
  if (state.mode.text)
    reply = state.mode.text(reply, list);
  res.writeHead(state.mode.status ?? 200, { 'content-type': 'application/json' });
  res.end(reply);
}

// Helpers for mode.answer.
export const result = (one, value) => ({ jsonrpc: '2.0', id: one.id, result: value });
