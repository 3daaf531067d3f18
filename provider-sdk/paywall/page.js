// page.js: the page's own part. All texts are in the page already, escaped by
// the server; nothing that a server says becomes markup here.
const $ = (id) => document.getElementById(id);
const button = $('pay');
let required = unb64(button.dataset.required);
const say = (text) => { $('say').textContent = text; };
// Nothing to press where there is nothing that this page can pay.
button.hidden = !document.querySelector('[name=offer]');

async function show(res) {
  // A pass came along: the article itself, as the server means it.
  if (res.headers.get('X402-Pass')) return location.reload();
  const text = await res.text();
  const type = res.headers.get('Content-Type') ?? '';
  const main = document.querySelector('main');
  main.className = 'text';
  main.textContent = /html/.test(type)
    ? new DOMParser().parseFromString(text, 'text/html').body.textContent
    : text;
  main.tabIndex = -1;
  main.focus();
}

// Not in every page that somebody has made of his own.
const door = $('in');
if (door) door.hidden = !mayEnter(required);
door?.addEventListener('click', async () => {
  door.disabled = true;
  try {
    say('Sign in with your wallet.');
    const res = await enter(location.href, required);
    if (res.ok) { say(''); await show(res); return; }
    const header = res.headers.get('PAYMENT-REQUIRED');
    if (!header) throw new Error('status ' + res.status);
    // The price of this wallet, which may be another, and a fresh challenge.
    required = unb64(header);
    for (const choice of document.querySelectorAll('[name=offer]'))
      choice.nextElementSibling.textContent =
        money(required.accepts[choice.value]);
    say(required.error === 'Payment required'
      ? 'This wallet pays what it says above.' : required.error);
  } catch (error) {
    say(error.message ?? String(error));
  }
  door.disabled = false;
});

button.addEventListener('click', async () => {
  button.disabled = true;
  try {
    const chosen = document.querySelector('[name=offer]:checked') ??
      document.querySelector('[name=offer]');
    const offer = required.accepts[chosen.value];
    if (!payable(offer)) throw new Error('This page cannot pay that way.');
    const { res } = await pay(location.href, required, offer, say);
    say('Paid.');
    await show(res);
  } catch (error) {
    say(error.message ?? String(error));
  }
  button.disabled = false;
});
