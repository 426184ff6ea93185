// The TypeScript SDK of MCP as a host application uses it: a transport with a
// provider that has a clientMetadataUrl and nothing registered.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createPrivateKeyJwtAuth } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Receiver } from './world.mjs';

const documentPath = '/oauth/mcp-sdk.json';
const keyedPath = '/oauth/mcp-sdk-with-a-key.json';

// Installation is the SDK on one machine; it is the SDK's provider.
class Installation {
  constructor(world, clientMetadataUrl) {
    this.world = world;
    this.clientMetadataUrl = clientMetadataUrl;
    this.person = world.person();
    this.store = {};
    this.forgotten = []; // what the SDK told to forget
    this.redirects = 0;
  }

  get redirectUrl() {
    return this.receiver.redirectURI;
  }

  get clientMetadata() {
    return { client_name: 'MCP SDK', redirect_uris: [this.redirectUrl], grant_types: ['authorization_code', 'refresh_token'] };
  }

  state() {
    this.store.state = randomUUID();
    return this.store.state;
  }

  clientInformation() {
    return this.store.client;
  }

  saveClientInformation(client) {
    this.store.client = client;
  }

  tokens() {
    return this.store.tokens;
  }

  saveTokens(tokens) {
    this.world.keep(tokens.access_token, tokens.refresh_token);
    this.store.tokens = tokens;
  }

  saveCodeVerifier(verifier) {
    this.world.keep(verifier);
    this.store.verifier = verifier;
  }

  codeVerifier() {
    return this.store.verifier;
  }

  invalidateCredentials(scope) {
    this.forgotten.push(scope);
    if (scope === 'tokens' || scope === 'all') {
      delete this.store.tokens;
    }
  }

  redirectToAuthorization(url) {
    this.redirects++;
    this.authorizationURL = url;
  }

  // listen opens a port for the next answer.
  async listen() {
    this.receiver = await Receiver.open('localhost', '/callback');
  }

  transport() {
    return new StreamableHTTPClientTransport(new URL(this.world.resource), { authProvider: this });
  }

  async connect() {
    const client = new Client({ name: 'other-client', version: '1.0.0' });
    await client.connect(this.transport());
    return client;
  }

  // login runs from a refused connection to tokens.
  async login() {
    await this.listen();
    const client = new Client({ name: 'other-client', version: '1.0.0' });
    const transport = this.transport();
    await assert.rejects(client.connect(transport), UnauthorizedError);
    await this.person.decide(this.authorizationURL);
    const answer = await this.receiver.answer();
    assert.equal(answer.searchParams.get('state'), this.store.state);
    assert.equal(answer.searchParams.get('iss'), this.world.issuer);
    await transport.finishAuth(answer.searchParams.get('code'));
  }

  async whoami() {
    const client = await this.connect();
    const result = await client.callTool({ name: 'whoami', arguments: {} });
    await client.close();
    assert.ok(!result.isError, JSON.stringify(result));
    return result.structuredContent;
  }
}

export function mcpChecks(world) {
  let id;
  let desk;
  let laptop;

  return [
    ['meets a challenge, asks a person, gets a token', async () => {
      id = world.publish(documentPath, {
        client_name: 'MCP SDK', redirect_uris: ['http://localhost/callback'],
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none',
      });
      desk = new Installation(world, id);
      await desk.login();
      assert.equal(desk.store.client.client_id, id, 'the SDK registered elsewhere');
      assert.equal(desk.authorizationURL.searchParams.get('client_id'), id);
      assert.equal(desk.authorizationURL.searchParams.get('resource'), world.resource);
      assert.ok(desk.store.tokens.refresh_token, 'no refresh token');
      assert.match(desk.person.consent.body, /data-guestlist="loopback-warning"/);
    }],
    ['calls tools of the protected server', async () => {
      assert.deepEqual(await desk.whoami(), { sub: world.username, client_id: id, scopes: desk.store.tokens.scope.split(' ') });
      const client = await desk.connect();
      const { structuredContent } = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } });
      assert.deepEqual(structuredContent, { sum: 5 });
      await client.close();
    }],
    ['refreshes on its own when the server refuses its access token', async () => {
      const before = desk.store.tokens;
      desk.store.tokens = { ...before, access_token: 'an access token of yesterday' };
      assert.equal((await desk.whoami()).sub, world.username);
      assert.notEqual(desk.store.tokens.access_token, before.access_token);
      assert.notEqual(desk.store.tokens.refresh_token, before.refresh_token);
      assert.equal(desk.redirects, 1, 'the person was asked again');
    }],
    ['refreshes when told to', async () => {
      const before = desk.store.tokens;
      assert.equal(await auth(desk, { serverUrl: world.resource }), 'AUTHORIZED');
      assert.notEqual(desk.store.tokens.refresh_token, before.refresh_token);
    }],
    ['four parallel agents on one set of tokens all go on', async () => {
      desk.store.tokens = { ...desk.store.tokens, access_token: 'an access token of yesterday' };
      const all = await Promise.all([1, 2, 3, 4].map(() => desk.whoami()));
      assert.deepEqual(all.map((w) => w.sub), Array(4).fill(world.username));
      assert.equal(desk.redirects, 1, 'the person was asked again');
      assert.equal((await desk.whoami()).client_id, id);
    }],
    ['a second machine with the same client_id leaves the first one alone', async () => {
      laptop = new Installation(world, id);
      await laptop.login();
      assert.equal((await laptop.whoami()).sub, world.username);
      assert.equal(await auth(desk, { serverUrl: world.resource }), 'AUTHORIZED');
      assert.equal(await auth(laptop, { serverUrl: world.resource }), 'AUTHORIZED');
      assert.equal((await desk.whoami()).sub, world.username);
    }],
    ['after revocation it forgets its tokens and asks the person again', async () => {
      const metadata = await (await fetch(`${world.issuer}/.well-known/oauth-authorization-server`)).json();
      const resp = await fetch(metadata.revocation_endpoint, {
        method: 'POST', body: new URLSearchParams({ client_id: id, token: desk.store.tokens.refresh_token, token_type_hint: 'refresh_token' }),
      });
      assert.equal(resp.status, 200);
      await desk.listen();
      assert.equal(await auth(desk, { serverUrl: world.resource }), 'REDIRECT');
      desk.receiver.close();
      assert.deepEqual(desk.forgotten, ['tokens']);
      assert.equal(await auth(laptop, { serverUrl: world.resource }), 'AUTHORIZED');
      assert.equal((await laptop.whoami()).sub, world.username);
    }],
    ['logs in once more where it was revoked', async () => {
      await desk.login();
      assert.equal((await desk.whoami()).sub, world.username);
    }],
    ['with a key it signs assertions as it always does, and refreshes', async () => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const keyed = world.publish(keyedPath, {
        client_name: 'MCP SDK with a key', redirect_uris: ['http://localhost/callback'],
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'sdk', use: 'sig', alg: 'ES256' }] },
      });
      const server = new Installation(world, keyed);
      server.addClientAuthentication = createPrivateKeyJwtAuth({
        issuer: keyed, subject: keyed, alg: 'ES256', privateKey: privateKey.export({ format: 'jwk' }),
      });
      await server.login();
      assert.equal((await server.whoami()).client_id, keyed);
      assert.equal(await auth(server, { serverUrl: world.resource }), 'AUTHORIZED');
      delete server.addClientAuthentication;
      assert.equal(await auth(server, { serverUrl: world.resource }), 'REDIRECT', 'it went on without its key');
      assert.deepEqual(server.forgotten, ['all']);
    }],
    ['its document was fetched once', () => {
      assert.equal(world.fetched.filter((p) => p === documentPath).length, 1);
    }],
  ];
}
