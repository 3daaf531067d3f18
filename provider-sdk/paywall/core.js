// core.js: pays a 402 with a wallet in the page. Shared by the page for people
// and by <x402-pay>; both get it wrapped into a function of their own.

const b64 = (json) => btoa(String.fromCharCode(
  ...new TextEncoder().encode(JSON.stringify(json))));
const unb64 = (text) => JSON.parse(new TextDecoder().decode(
  Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));

// Wallets say that they are there when they are asked (EIP-6963).
const wallets = [];
addEventListener('eip6963:announceProvider', (e) => {
  if (!wallets.some((w) => w.info.uuid === e.detail.info.uuid))
    wallets.push(e.detail);
});
dispatchEvent(new Event('eip6963:requestProvider'));
const wallet = () => wallets[0]?.provider ?? window.ethereum;

// What this code can pay: exact, by EIP-3009.
const payable = (offer) => offer.scheme === 'exact' &&
  /^eip155:\d+$/.test(offer.network) && offer.extra?.name &&
  (offer.extra.assetTransferMethod ?? 'eip3009') === 'eip3009';

const type = (names) => names.split(',').map((entry) => {
  const [type, name] = entry.split(' ');
  return { name, type };
});

async function connect(offer) {
  const eth = wallet();
  if (!eth) throw new Error('No wallet was found in this browser.');
  const [from] = await eth.request({ method: 'eth_requestAccounts' });
  const chainId = '0x' + Number(offer.network.slice(7)).toString(16);
  if (await eth.request({ method: 'eth_chainId' }) !== chainId)
    await eth.request({
      method: 'wallet_switchEthereumChain', params: [{ chainId }],
    });
  return { eth, from };
}

// One signature, for one payment. It is worth the money from here on.
async function sign(required, offer) {
  const { eth, from } = await connect(offer);
  const now = Math.floor(Date.now() / 1000);
  const authorization = {
    from, to: offer.payTo, value: offer.amount,
    validAfter: String(now - 600),
    validBefore: String(now + offer.maxTimeoutSeconds),
    nonce: '0x' + Array.from(crypto.getRandomValues(new Uint8Array(32)),
      (b) => b.toString(16).padStart(2, '0')).join(''),
  };
  const signature = await eth.request({
    method: 'eth_signTypedData_v4',
    params: [from, JSON.stringify({
      types: {
        EIP712Domain: type('string name,string version,uint256 chainId,' +
          'address verifyingContract'),
        TransferWithAuthorization: type('address from,address to,' +
          'uint256 value,uint256 validAfter,uint256 validBefore,' +
          'bytes32 nonce'),
      },
      primaryType: 'TransferWithAuthorization',
      domain: {
        name: offer.extra.name, version: offer.extra.version,
        chainId: Number(offer.network.slice(7)),
        verifyingContract: offer.asset,
      },
      message: authorization,
    })],
  });
  return {
    until: Number(authorization.validBefore),
    header: b64({
      x402Version: 2, resource: required.resource, accepted: offer,
      payload: { signature, authorization },
      ...(required.extensions ? { extensions: required.extensions } : {}),
    }),
  };
}

// A payment whose fate is not known is sent again as it is, also after a
// reload: never a second one beside it.
const kept = (url) => {
  try {
    const payment = JSON.parse(sessionStorage.getItem('x402 ' + url));
    return payment?.until > Date.now() / 1000 ? payment : null;
  } catch { return null; }
};
const keep = (url, payment) => {
  try {
    if (payment)
      sessionStorage.setItem('x402 ' + url, JSON.stringify(payment));
    else sessionStorage.removeItem('x402 ' + url);
  } catch { /* no storage: this page alone remembers */ }
};

async function pay(url, required, offer, say) {
  let payment = kept(url);
  if (!payment) {
    say('Confirm in your wallet.');
    payment = await sign(required, offer);
    keep(url, payment);
  }
  say('Paying.');
  const res = await fetch(url, {
    headers: { 'PAYMENT-SIGNATURE': payment.header }, cache: 'no-store',
  });
  const receipt = res.headers.get('PAYMENT-RESPONSE');
  const fate = receipt ? unb64(receipt) : {};
  if (res.ok) {
    keep(url, null);
    return { res, receipt: fate };
  }
  const again = res.headers.get('PAYMENT-REQUIRED');
  // A new offer in place of a receipt: this payment was refused unused.
  if (again && !receipt) keep(url, null);
  const why = fate.errorReason ?? (again && unb64(again).error) ??
    'status ' + res.status;
  throw new Error('Not paid: ' + why + '.');
}

// What an offer costs, for people.
const money = (offer) => {
  const known = /USDC|USD Coin/.test(offer.extra?.name) ? 6 : null;
  if (known === null) return offer.amount + ' units of ' + offer.asset;
  const digits = offer.amount.padStart(known + 1, '0');
  return (digits.slice(0, -known) + '.' + digits.slice(-known))
    .replace(/\.?0+$/, '') + ' ' + offer.extra.name;
};

// Who has paid, or holds a token, proves it with the wallet (E-SIWX). The text
// is written from what the server said, and only about this very site.
const mayEnter = (required) => required.extensions?.['sign-in-with-x'] &&
  required.extensions['sign-in-with-x'].supportedChains.find(
    (chain) => chain.type === 'eip191');

async function enter(url, required) {
  const { chainId, type } = mayEnter(required);
  const { info } = required.extensions['sign-in-with-x'];
  const { host, origin } = new URL(url);
  if (info.domain !== host || new URL(info.uri).origin !== origin)
    throw new Error('This page asks to sign in somewhere else.');
  const eth = wallet();
  if (!eth) throw new Error('No wallet was found in this browser.');
  const [address] = await eth.request({ method: 'eth_requestAccounts' });
  const text = [
    `${info.domain} wants you to sign in with your Ethereum account:`, address,
    '', info.statement, '', `URI: ${info.uri}`, `Version: ${info.version}`,
    `Chain ID: ${chainId.slice(7)}`, `Nonce: ${info.nonce}`,
    `Issued At: ${info.issuedAt}`, `Expiration Time: ${info.expirationTime}`,
    'Resources:', ...info.resources.map((resource) => '- ' + resource),
  ].join('\n');
  const bytes = Array.from(new TextEncoder().encode(text),
    (b) => b.toString(16).padStart(2, '0'));
  const signature = await eth.request({
    method: 'personal_sign', params: ['0x' + bytes.join(''), address],
  });
  return fetch(url, { cache: 'no-store', headers: {
    'SIGN-IN-WITH-X': b64({ ...info, address, chainId, type, signature }),
  } });
}
