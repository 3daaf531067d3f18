// Crawlers that sign their requests (Web Bot Auth), and a name server that says
// what it is told to.

import crypto from 'node:crypto';
import dgram from 'node:dgram';
import http from 'node:http';

// A crawler's directory of keys.
export async function startDirectory() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  const d = { asked: 0, privateKey, keyid: crypto.createHash('sha256').update(
    JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x })).digest('base64url') };
  d.server = http.createServer((req, res) => {
    d.asked++;
    res.end(JSON.stringify({ keys: [{ kty: 'OKP', crv: 'Ed25519', x }] }));
  });
  await new Promise((done) => d.server.listen(0, '127.0.0.1', done));
  d.origin = `http://127.0.0.1:${d.server.address().port}`;
  d.stop = () => new Promise((done) => {
    d.server.closeAllConnections();
    d.server.close(done);
  });
  return d;
}

// The headers of a signed request, after RFC 9421, by node's own crypto.
export function signed(directory, authority, change = {}) {
  const now = Math.floor(Date.now() / 1000);
  const params = '("@authority" "signature-agent");' +
    `created=${change.created ?? now};expires=${change.expires ?? now + 60};` +
    `keyid="${directory.keyid}";alg="ed25519";` +
    `nonce="${crypto.randomUUID()}";tag="${change.tag ?? 'web-bot-auth'}"`;
  const agent = `"${change.agent ?? directory.origin}"`;
  const base = `"@authority": ${authority}\n"signature-agent": ${agent}\n` +
    `"@signature-params": ${params}`;
  const key = change.key ?? directory.privateKey;
  return [['User-Agent', 'SignedBot/1.0'], ['Signature-Agent', agent],
    ['Signature-Input', `sig1=${params}`],
    ['Signature', `sig1=:${crypto.sign(null, Buffer.from(base), key)
      .toString('base64')}:`]];
}

// A name server on a free port of UDP: zone maps "PTR 1.0.0.127.in-addr.arpa"
// or "A bot.example" to an answer; silent says nothing at all.
export async function startNames(zone = {}) {
  const names = { zone, asked: [], silent: false };
  const encode = (name) => Buffer.concat([...name.split('.').map((part) =>
    Buffer.from([part.length, ...Buffer.from(part)])), Buffer.from([0])]);
  const socket = dgram.createSocket('udp4');
  socket.on('message', (query, peer) => {
    const parts = [];
    let at = 12;
    for (; query[at]; at += query[at] + 1)
      parts.push(query.subarray(at + 1, at + 1 + query[at]).toString());
    const type = { 1: 'A', 12: 'PTR', 28: 'AAAA' }[query.readUInt16BE(at + 1)];
    const key = `${type} ${parts.join('.').toLowerCase()}`;
    names.asked.push(key);
    if (names.silent) return;
    const answers = [names.zone[key] ?? []].flat();
    const head = Buffer.alloc(12);
    query.copy(head, 0, 0, 2);
    head.writeUInt16BE(answers.length ? 0x8180 : 0x8183, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    socket.send(Buffer.concat([head, query.subarray(12, at + 5),
      ...answers.map((text) => {
        const data = type === 'A' ? Buffer.from(text.split('.').map(Number))
          : encode(text);
        const fields = Buffer.alloc(12);
        fields.writeUInt16BE(0xc00c, 0); // the question's own name
        query.copy(fields, 2, at + 1, at + 5);
        fields.writeUInt32BE(1, 6); // for a second
        fields.writeUInt16BE(data.length, 10);
        return Buffer.concat([fields, data]);
      })]), peer.port, peer.address);
  });
  await new Promise((done) => socket.bind(0, '127.0.0.1', done));
  names.address = `127.0.0.1:${socket.address().port}`;
  names.stop = () => new Promise((done) => socket.close(done));
  return names;
}
