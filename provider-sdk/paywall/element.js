// element.js: <x402-pay src="/articles/one">Read on</x402-pay>, for a page of
// your own. Asks src for its price, shows it, pays, and puts the text in its
// place. Attributes in, events out, so that it works as it is in React and Vue:
//   x402-price   detail: { accepts }        the price is known
//   x402-paid    detail: { text, type, receipt }; preventDefault() shows nothing
//   x402-error   detail: { message }
// What people call a chain.
const chains = { 1: 'Ethereum', 10: 'OP Mainnet', 137: 'Polygon', 8453: 'Base',
  42161: 'Arbitrum One', 43114: 'Avalanche', 84532: 'Base Sepolia (test)' };
const chain = (network) => chains[network.slice(7)] ?? network;

class X402Pay extends HTMLElement {
  static observedAttributes = ['src'];

  connectedCallback() { this.load(); }
  attributeChangedCallback() { if (this.isConnected) this.load(); }

  tell(name, detail) {
    return this.dispatchEvent(new CustomEvent('x402-' + name, {
      detail, bubbles: true, composed: true, cancelable: true,
    }));
  }

  draw(...nodes) {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren(...nodes);
  }

  async load() {
    const url = new URL(this.getAttribute('src') ?? '', location.href).href;
    if (url === this.loaded) return;
    this.loaded = url;
    try {
      const res = await fetch(url, {
        headers: { Accept: '*/*' }, cache: 'no-store',
      });
      // src has changed since: what came is for nobody any more.
      if (url !== this.loaded) return;
      const header = res.headers.get('PAYMENT-REQUIRED');
      if (res.ok) return await this.show(url, res, null);
      if (res.status !== 402 || !header)
        throw new Error('status ' + res.status);
      this.price(url, unb64(header));
    } catch (error) {
      if (url !== this.loaded) return;
      this.loaded = null; // who sets src again tries again
      this.fail(error);
    }
  }

  price(url, required) {
    const offer = required.accepts.find(payable);
    this.tell('price', { accepts: required.accepts });
    if (!offer) throw new Error('no offer that a browser can pay');
    const button = document.createElement('button');
    const line = document.createElement('p');
    button.part = 'button';
    line.part = 'text';
    button.append(document.createElement('slot'), ' ' + money(offer));
    line.setAttribute('role', 'status');
    line.style.overflowWrap = 'anywhere'; // addresses are long, phones narrow
    line.textContent = 'To ' + offer.payTo + ' on ' + chain(offer.network) + '.';
    button.onclick = async () => {
      button.disabled = true;
      try {
        const { res, receipt } = await pay(url, required, offer,
          (text) => { line.textContent = text; });
        await this.show(url, res, receipt);
      } catch (error) {
        line.textContent = error.message;
        this.tell('error', { message: error.message });
      }
      button.disabled = false;
    };
    this.draw(button, line);
  }

  async show(url, res, receipt) {
    const type = res.headers.get('Content-Type') ?? '';
    const text = await res.text();
    // What was paid for is told in any case, and drawn where it is wanted.
    if (!this.tell('paid', { text, type, receipt })) return;
    if (url !== this.loaded) return;
    const out = document.createElement('div');
    out.part = 'content';
    out.style.whiteSpace = 'pre-wrap';
    out.textContent = text;
    this.draw(out);
  }

  fail(error) {
    const line = document.createElement('p');
    line.part = 'text';
    line.textContent = error.message;
    this.draw(line);
    this.tell('error', { message: error.message });
  }
}
if (!customElements.get('x402-pay'))
  customElements.define('x402-pay', X402Pay);
