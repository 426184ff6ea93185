// The world around the clients: a development server, a protected MCP server,
// a host for the clients' documents, and places to receive answers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { Person } from './person.mjs';

const documentHost = 'other-client.example';
const patience = 20_000; // milliseconds for anything that must happen

// within rejects when a promise takes too long.
async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${patience} ms`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function listen(server, host = '127.0.0.1') {
  server.listen(0, host);
  await once(server, 'listening');
  return server.address().port;
}

// Process is a program with all that it printed.
class Process {
  constructor(program, args) {
    this.name = path.basename(program);
    this.out = '';
    this.err = '';
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exit = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('exit', (code, signal) => resolve(code ?? signal));
    });
    this.exit.catch(() => {}); // whoever waits for it hears of it
    this.child.stdout.on('data', (b) => (this.out += b));
    this.child.stderr.on('data', (b) => (this.err += b));
  }

  // printed waits for a match on standard output.
  async printed(pattern) {
    const wait = async () => {
      for (;;) {
        const m = this.out.match(pattern);
        if (m) {
          return m[1];
        }
        if (this.child.exitCode !== null) {
          throw new Error(`${this.name} ended with ${this.child.exitCode}: ${this.err}`);
        }
        await Promise.race([once(this.child.stdout, 'data'), this.exit]);
      }
    };
    return within(wait(), `${this.name}: ${pattern}`);
  }
}

export class World {
  constructor(dir) {
    this.dir = dir;
    this.documents = new Map(); // path to document
    this.fetched = []; // paths of the document host that were asked for
    this.secrets = new Set(); // tokens, codes, verifiers: in no log, ever
    this.processes = [];
    this.servers = [];
  }

  async start() {
    const tls = { key: readFileSync(path.join(this.dir, 'key.pem')), cert: readFileSync(path.join(this.dir, 'cert.pem')) };
    const host = https.createServer(tls, (req, res) => this.serveDocument(req, res));
    this.servers.push(host);
    const documentPort = await listen(host);

    // The resource has to be known before either program runs.
    const taken = http.createServer();
    const port = await listen(taken);
    await new Promise((resolve) => taken.close(resolve));
    this.resource = `http://127.0.0.1:${port}/mcp`;

    const guestlist = this.run('guestlist', [
      'serve', '--dev', '--listen', '127.0.0.1:0', '--resource', this.resource,
      '--trust-ca', path.join(this.dir, 'cert.pem'), '--map-host', `${documentHost}:443=127.0.0.1:${documentPort}`,
    ]);
    this.issuer = await guestlist.printed(/^ *issuer +(\S+)$/m);
    this.username = await guestlist.printed(/sign in +user (\S+), password \S+\n/);
    this.password = await guestlist.printed(/sign in +user \S+, password (\S+)\n/);
    const mcp = this.run('mcp-server', ['--listen', `127.0.0.1:${port}`, '--resource', this.resource, '--issuer', this.issuer]);
    assert.equal(await mcp.printed(/^ready: (\S+)\n/m), this.resource);
  }

  run(program, args) {
    const p = new Process(path.join(this.dir, program), args);
    this.processes.push(p);
    return p;
  }

  serveDocument(req, res) {
    this.fetched.push(req.url);
    const doc = this.documents.get(req.url);
    if (!doc || req.headers.host !== documentHost) {
      res.writeHead(404).end();
      return;
    }
    res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(doc));
  }

  // publish puts a client's document in its place and returns its client_id.
  publish(at, members) {
    const id = `https://${documentHost}${at}`;
    this.documents.set(at, { client_id: id, ...members });
    return id;
  }

  person() {
    return new Person(this.issuer, this.username, this.password);
  }

  // keep remembers what no log may contain.
  keep(...secrets) {
    for (const s of secrets) {
      assert.equal(typeof s, 'string');
      assert.ok(s.length >= 16, 'a secret of a few characters');
      this.secrets.add(s);
    }
  }

  logs() {
    return this.processes.map((p) => `--- ${p.name}, standard error\n${p.err}`).join('\n');
  }

  checkLogs() {
    assert.ok(this.secrets.size > 10, `only ${this.secrets.size} secrets were kept`);
    const all = this.processes.map((p) => p.out + p.err).join('\n');
    assert.match(all, /server\.started/);
    for (const s of this.secrets) {
      assert.ok(!all.includes(s), 'a secret is in a log');
    }
  }

  async stop() {
    for (const p of this.processes) {
      p.child.kill('SIGTERM');
      assert.equal(await within(p.exit, `${p.name} to stop`), 0, `exit of ${p.name}`);
    }
  }

  // kill ends what is left, whatever happened before.
  kill() {
    for (const p of this.processes) {
      p.child.kill('SIGKILL');
    }
    for (const s of this.servers) {
      s.closeAllConnections();
      s.close();
    }
  }
}

// Receiver is where a native client takes its answer: loopback, a port of the
// moment.
export class Receiver {
  static async open(host, at) {
    const r = new Receiver();
    let arrived;
    const answer = new Promise((resolve) => (arrived = resolve));
    r.server = http.createServer((req, res) => {
      const url = new URL(req.url, `http://${req.headers.host}`);
      res.writeHead(url.pathname === at ? 200 : 404, { 'Content-Type': 'text/plain' }).end('done\n');
      if (url.pathname === at) {
        arrived(url);
      }
    });
    const port = await listen(r.server, host);
    r.redirectURI = `http://${host}:${port}${at}`;
    r.answer = () => within(answer, 'the answer to the client').finally(() => r.close());
    return r;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
