// A person with a browser: follows redirects, keeps cookies, reads forms and
// fills them in. No scripts, like the pages of the server.
import assert from 'node:assert/strict';

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#34': '"', '#39': "'", '#43': '+' };

function unescape(text) {
  return text.replace(/&(#?\w+);/g, (whole, name) => {
    assert.ok(name in entities, `entity ${whole} in a form`);
    return entities[name];
  });
}

function attributes(tag) {
  const out = {};
  for (const m of tag.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)) {
    out[m[1]] ??= unescape(m[2] ?? '');
  }
  return out;
}

// formWith returns the form that has an element of that name, its ticked
// boxes and hidden fields filled in, or undefined.
function formWith(html, name) {
  for (const m of html.matchAll(/<form ([^>]*)>(.*?)<\/form>/gs)) {
    const elements = [...m[2].matchAll(/<(input|button) ([^>]*)>/g)].map((e) => ({ tag: e[1], ...attributes(e[2]) }));
    if (!elements.some((e) => e.name === name)) {
      continue;
    }
    const fields = new URLSearchParams();
    for (const e of elements) {
      if (e.tag === 'input' && e.name && (e.type !== 'checkbox' || 'checked' in e)) {
        fields.append(e.name, e.value ?? '');
      }
    }
    return { action: attributes(m[1]).action, fields };
  }
  return undefined;
}

export class Person {
  constructor(issuer, username, password) {
    this.issuer = issuer;
    this.username = username;
    this.password = password;
    this.cookies = new Map();
    this.seen = []; // pages, in order
  }

  // open requests a page and follows redirects, also to the client's receiver.
  async open(url, init = {}) {
    for (let hops = 0; hops < 10; hops++) {
      const own = new URL(url).origin === new URL(this.issuer).origin;
      const headers = { ...init.headers };
      if (own && this.cookies.size > 0) {
        headers.cookie = [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; ');
      }
      const resp = await fetch(url, { ...init, headers, redirect: 'manual' });
      if (own) {
        this.keepCookies(resp);
      }
      const location = resp.headers.get('location');
      const body = await resp.text();
      if (!location) {
        const page = { url: String(url), status: resp.status, body };
        this.seen.push(page);
        return page;
      }
      assert.ok([302, 303].includes(resp.status), `redirect with status ${resp.status}`);
      url = new URL(location, url);
      init = {};
    }
    throw new Error('too many redirects');
  }

  keepCookies(resp) {
    for (const line of resp.headers.getSetCookie()) {
      const [pair, ...rest] = line.split(';');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      if (value === '' || rest.some((a) => /^\s*max-age=(0|-\d+)$/i.test(a))) {
        this.cookies.delete(name);
      } else {
        this.cookies.set(name, value);
      }
    }
  }

  async submit(page, name, values) {
    const form = formWith(page.body, name);
    assert.ok(form, `no form with ${name} at ${page.url}, status ${page.status}:\n${page.body}`);
    for (const [k, v] of Object.entries(values)) {
      form.fields.set(k, v);
    }
    return this.open(new URL(form.action, page.url), {
      method: 'POST', body: form.fields.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  }

  // decide goes through sign-in, where it is asked for, and consent.
  async decide(authorizationURL, decision = 'allow') {
    let page = await this.open(authorizationURL);
    if (formWith(page.body, 'password')) {
      page = await this.submit(page, 'password', { username: this.username, password: this.password });
    }
    this.consent = page;
    return this.submit(page, 'decision', { decision });
  }
}
