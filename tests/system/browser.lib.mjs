// Headless Chromium over the DevTools protocol on two pipes (no port, no
// package), and a wallet: an EIP-1193 provider in the page whose requests are
// answered here, with the key that the test gives it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LIMIT_MS = 30000;

// Messages are JSON with a NUL behind each.
function speak(child) {
  const [out, input] = [child.stdio[3], child.stdio[4]];
  const waiting = new Map();
  const listeners = [];
  let text = '';
  let id = 0;
  out.on('error', () => {});
  input.on('data', (data) => {
    text += data;
    for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0')) {
      const message = JSON.parse(text.slice(0, at));
      text = text.slice(at + 1);
      const reply = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) reply?.fail(new Error(message.error.message));
      else if (reply) reply.done(message.result);
      else for (const listener of [...listeners]) listener(message);
    }
  });
  return {
    listeners,
    send(method, params = {}, sessionId) {
      return new Promise((done, fail) => {
        waiting.set(++id, { done, fail });
        out.write(JSON.stringify({ id, method, params, sessionId }) + '\0');
      });
    },
  };
}

export async function startBrowser() {
  const profile = mkdtempSync(path.join(tmpdir(), 'x402-chromium-'));
  const child = spawn('chromium', ['--headless=new', '--no-sandbox',
    '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
    '--disable-background-networking', '--remote-debugging-pipe',
    `--user-data-dir=${profile}`, 'about:blank'],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], detached: true });
  const exited = once(child, 'close');
  const cdp = speak(child);
  await cdp.send('Browser.getVersion');
  return {
    open: (options) => openPage(cdp, options),
    async stop() {
      cdp.send('Browser.close').catch(() => {});
      const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), 5000);
      await exited;
      clearTimeout(timer);
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

// What runs in the page before anything of the page does.
const injected = `(() => {
  const waiting = new Map();
  let id = 0;
  const provider = {
    request: (args) => new Promise((done, fail) => {
      waiting.set(++id, { done, fail });
      window.walletRequest(JSON.stringify({ id, ...args }));
    }),
  };
  window.walletReply = (id, error, result) => {
    const { done, fail } = waiting.get(id);
    waiting.delete(id);
    if (error) fail(Object.assign(new Error(error.message), error));
    else done(result);
  };
  WALLET_HOW
})()`;
const how = {
  window: 'window.ethereum = provider;',
  announced: `const detail = Object.freeze({ info: { uuid: 'a', name: 'Test',
    icon: '', rdns: 'example.test' }, provider });
    const tell = () => dispatchEvent(new CustomEvent(
      'eip6963:announceProvider', { detail }));
    addEventListener('eip6963:requestProvider', tell);`,
};

/**
 * A tab of its own, with a clean store. account is viem's; chainId what the
 * wallet is on at first.
 */
async function openPage(cdp, { account, chainId = 1, wallet = 'window',
  width = 1280, height = 800, phone = false, dark = false } = {}) {
  const { browserContextId } = await cdp.send('Target.createBrowserContext');
  const { targetId } = await cdp.send('Target.createTarget',
    { url: 'about:blank', browserContextId });
  const { sessionId } = await cdp.send('Target.attachToTarget',
    { targetId, flatten: true });
  const send = (method, params) => cdp.send(method, params, sessionId);
  const page = { errors: [], requests: [], asked: [], send, chainId };
  const loaded = new Set(); // by loader

  cdp.listeners.push(async ({ method, params, sessionId: from }) => {
    if (from !== sessionId) return;
    if (method === 'Runtime.exceptionThrown')
      page.errors.push(params.exceptionDetails.exception?.description ??
        params.exceptionDetails.text);
    if (method === 'Log.entryAdded' && params.entry.level === 'error')
      page.errors.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Page.lifecycleEvent' && params.name === 'load')
      loaded.add(params.loaderId);
    if (method === 'Network.requestWillBeSent')
      page.requests.push(params.request.url);
    if (method === 'Runtime.bindingCalled') {
      const { id, method: name, params: args } = JSON.parse(params.payload);
      page.asked.push({ method: name, params: args });
      let error = null;
      let result = null;
      try {
        result = await answer(page, account, name, args);
      } catch (e) { error = { message: e.message, code: e.code ?? -32603 }; }
      await send('Runtime.evaluate', { expression: `window.walletReply(${id},
        ${JSON.stringify(error)}, ${JSON.stringify(result)})` });
    }
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Network'])
    await send(`${domain}.enable`);
  await send('Page.setLifecycleEventsEnabled', { enabled: true });
  await send('Emulation.setDeviceMetricsOverride',
    { width, height, deviceScaleFactor: 1, mobile: phone });
  await send('Emulation.setEmulatedMedia', { features: [
    { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }] });
  if (account) {
    await send('Runtime.addBinding', { name: 'walletRequest' });
    await send('Page.addScriptToEvaluateOnNewDocument',
      { source: injected.replace('WALLET_HOW', how[wallet]) });
  }
  page.eval = async (expression) => {
    const { result, exceptionDetails } = await send('Runtime.evaluate',
      { expression, awaitPromise: true, returnByValue: true });
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  };
  // The load of this navigation: the page before may still be loading.
  page.goto = async (url) => {
    const { loaderId, errorText } = await send('Page.navigate', { url });
    assert.equal(errorText, undefined, url);
    for (const end = Date.now() + LIMIT_MS; !loaded.has(loaderId);) {
      assert.ok(Date.now() < end, `${url} was not loaded`);
      await new Promise((done) => setTimeout(done, 10));
    }
  };
  // Not innerWidth: a phone's grows with what does not fit.
  page.fits = async () =>
    await page.eval('document.documentElement.scrollWidth') <= width;
  page.until = async (expression) => {
    for (const end = Date.now() + LIMIT_MS; Date.now() < end;) {
      if (await page.eval(expression).catch(() => false)) return;
      await new Promise((done) => setTimeout(done, 25));
    }
    assert.fail(`${expression}: ${await page.eval('document.body.innerText')}`);
  };
  // Only where somebody wants to look: X402_SCREENSHOTS names a directory.
  page.screenshot = async (name) => {
    if (!process.env.X402_SCREENSHOTS) return;
    const { data } = await send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(path.join(process.env.X402_SCREENSHOTS, `${name}.png`),
      Buffer.from(data, 'base64'));
  };
  page.key = async (key, code) => {
    for (const type of ['keyDown', 'keyUp'])
      await send('Input.dispatchKeyEvent', { type, key, code: key,
        windowsVirtualKeyCode: code, ...(key === 'Enter' ? { text: '\r' }
          : {}) });
  };
  page.close = () => cdp.send('Target.disposeBrowserContext',
    { browserContextId });
  return page;
}

async function answer(page, account, method, params) {
  switch (method) {
    // Many wallets write no EIP-55.
    case 'eth_requestAccounts':
      return [page.lowercase ? account.address.toLowerCase() : account.address];
    case 'personal_sign':
      if (page.refuses)
        throw Object.assign(new Error('User rejected the request.'),
          { code: 4001 });
      assert.equal(params[1].toLowerCase(), account.address.toLowerCase());
      return account.signMessage({ message: { raw: params[0] } });
    case 'eth_chainId': return '0x' + page.chainId.toString(16);
    case 'wallet_switchEthereumChain':
      page.chainId = Number(params[0].chainId);
      return null;
    case 'eth_signTypedData_v4': {
      if (page.refuses)
        throw Object.assign(new Error('User rejected the request.'),
          { code: 4001 });
      const { types, primaryType, domain, message } = JSON.parse(params[1]);
      assert.equal(params[0].toLowerCase(), account.address.toLowerCase());
      delete types.EIP712Domain;
      return account.signTypedData({ types, primaryType, domain, message });
    }
  }
  throw Object.assign(new Error(`no method ${method}`), { code: 4200 });
}
