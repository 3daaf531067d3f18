// A name server on loopback that answers PTR, A and AAAA from two tables, and
// counts what it is asked. What it does not know does not exist.

import dgram from 'node:dgram';

const TYPES = { 1: 'A', 12: 'PTR', 28: 'AAAA' };

function packName(name) {
  return Buffer.concat([...name.split('.').map((label) =>
    Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
  Buffer.from([0])]);
}

function readName(message, at) {
  const labels = [];
  for (; message[at]; at += 1 + message[at])
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

const packData = { PTR: packName,
  A: (ip) => Buffer.from(ip.split('.').map(Number)),
  AAAA: (ip) => Buffer.from(ip.replaceAll(':', ''), 'hex') };

// records: { 'PTR 1.0.0.127.in-addr.arpa': ['a.example'], 'A a.example': [..] };
// IPv6 addresses are written out in full.
export async function startDns(records) {
  const dns = { records, asked: [], silent: false };
  dns.socket = dgram.createSocket('udp4');
  dns.socket.on('message', (message, from) => {
    const { name, end } = readName(message, 12);
    const type = TYPES[message.readUInt16BE(end)];
    dns.asked.push(`${type} ${name}`);
    if (dns.silent) return;
    const found = dns.records[`${type} ${name}`] ?? [];
    const head = Buffer.from(message.subarray(0, end + 4));
    head.writeUInt16BE(found.length ? 0x8180 : 0x8183, 2);
    head.writeUInt16BE(found.length, 6);
    const answers = found.map((value) => {
      const data = packData[type](value);
      const fixed = Buffer.alloc(12);
      fixed.writeUInt16BE(0xc00c, 0);
      fixed.writeUInt16BE(message.readUInt16BE(end), 2);
      fixed.writeUInt16BE(1, 4);
      fixed.writeUInt32BE(300, 6);
      fixed.writeUInt16BE(data.length, 10);
      return Buffer.concat([fixed, data]);
    });
    dns.socket.send(Buffer.concat([head, ...answers]), from.port,
      from.address);
  });
  await new Promise((done) => dns.socket.bind(0, '127.0.0.1', done));
  dns.address = `127.0.0.1:${dns.socket.address().port}`;
  dns.stop = () => new Promise((done) => dns.socket.close(done));
  return dns;
}
