// oauth4webapi as a public client that names itself by its document. The
// library checks every answer against the specifications and throws.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { Receiver } from './world.mjs';

const insecure = { [oauth.allowInsecureRequests]: true }; // http on loopback
const scope = 'mcp:read offline_access';

export function oauth4webapiChecks(world) {
  let as;
  let client;
  let tokens;
  let spent; // the refresh token that was used
  let used; // the code exchange, to be repeated

  // attempt plays one authorization request to its answer.
  async function attempt(person, decision) {
    const receiver = await Receiver.open('127.0.0.1', '/callback');
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: client.client_id, redirect_uri: receiver.redirectURI, response_type: 'code', scope, state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', resource: world.resource,
    });
    await person.decide(url, decision);
    return { answer: await receiver.answer(), receiver, verifier, state };
  }

  const exchange = (params, a, verifier = a.verifier) => oauth.authorizationCodeGrantRequest(
    as, client, oauth.None(), params, a.receiver.redirectURI, verifier,
    { ...insecure, additionalParameters: { resource: world.resource } });

  const refresh = (token) => oauth.refreshTokenGrantRequest(as, client, oauth.None(), token, insecure);

  const verify = (token) => oauth.validateJwtAccessToken(
    as, new Request(world.resource, { headers: { authorization: `Bearer ${token}` } }), world.resource, insecure);

  const refused = (promise, code, status = 400) => assert.rejects(promise, (err) => {
    assert.ok(err instanceof oauth.ResponseBodyError, String(err));
    assert.equal(err.error, code);
    assert.equal(err.status, status);
    return true;
  });

  return [
    ['finds the issuer by the resource (RFC 9728)', async () => {
      const id = new URL(world.resource);
      const rs = await oauth.processResourceDiscoveryResponse(id, await oauth.resourceDiscoveryRequest(id, insecure));
      assert.deepEqual(rs.authorization_servers, [world.issuer]);
    }],
    ['reads the metadata at both locations (RFC 8414, OpenID Connect Discovery)', async () => {
      const issuer = new URL(world.issuer);
      for (const algorithm of ['oidc', 'oauth2']) {
        const resp = await oauth.discoveryRequest(issuer, { ...insecure, algorithm });
        as = await oauth.processDiscoveryResponse(issuer, resp);
        assert.equal(as.client_id_metadata_document_supported, true);
        assert.equal(as.authorization_response_iss_parameter_supported, true);
        assert.ok(as.code_challenge_methods_supported.includes('S256'));
        assert.ok(as.token_endpoint_auth_methods_supported.includes('none'));
        assert.ok(as.grant_types_supported.includes('refresh_token'));
        assert.ok(as.scopes_supported.includes('offline_access'));
      }
    }],
    ['gets a code on a loopback port (RFC 8252) and tokens for it', async () => {
      const client_id = world.publish('/oauth/oauth4webapi.json', {
        client_name: 'oauth4webapi', redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none',
      });
      client = { client_id, token_endpoint_auth_method: 'none' };
      const a = await attempt(world.person());
      const params = oauth.validateAuthResponse(as, client, a.answer, a.state);
      used = { params, a };
      tokens = await oauth.processAuthorizationCodeResponse(as, client, await exchange(params, a));
      world.keep(params.get('code'), a.verifier, tokens.access_token, tokens.refresh_token);
      assert.equal(tokens.token_type, 'bearer');
      assert.equal(tokens.scope, scope);
      assert.ok(tokens.expires_in > 0);
      assert.deepEqual(world.fetched, ['/oauth/oauth4webapi.json']);
    }],
    ['verifies the access token (RFC 9068)', async () => {
      const claims = await verify(tokens.access_token);
      assert.equal(claims.client_id, client.client_id);
      assert.equal(claims.aud, world.resource);
      assert.equal(claims.scope, scope);
      assert.equal(claims.sub, world.username);
    }],
    ['refreshes', async () => {
      spent = tokens.refresh_token;
      const before = await verify(tokens.access_token);
      tokens = await oauth.processRefreshTokenResponse(as, client, await refresh(spent));
      world.keep(tokens.access_token, tokens.refresh_token);
      assert.notEqual(tokens.refresh_token, spent);
      const after = await verify(tokens.access_token);
      assert.notEqual(after.jti, before.jti);
      assert.equal(after.sub, before.sub);
      assert.equal(after.scope, before.scope);
    }],
    ['repeats a refresh whose answer was lost, and gets that answer', async () => {
      const again = await oauth.processRefreshTokenResponse(as, client, await refresh(spent));
      assert.equal(again.refresh_token, tokens.refresh_token);
    }],
    ['a second installation leaves the first one alone', async () => {
      const a = await attempt(world.person());
      const params = oauth.validateAuthResponse(as, client, a.answer, a.state);
      const other = await oauth.processAuthorizationCodeResponse(as, client, await exchange(params, a));
      world.keep(other.access_token, other.refresh_token);
      await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, oauth.None(), other.refresh_token, insecure));
      tokens = await oauth.processRefreshTokenResponse(as, client, await refresh(tokens.refresh_token));
      world.keep(tokens.access_token, tokens.refresh_token);
    }],
    ['a refused person gives access_denied with iss and state (RFC 9207)', async () => {
      const a = await attempt(world.person(), 'deny');
      assert.throws(() => oauth.validateAuthResponse(as, client, a.answer, a.state), (err) => {
        assert.ok(err instanceof oauth.AuthorizationResponseError, String(err));
        assert.equal(err.error, 'access_denied');
        return true;
      });
      assert.equal(a.answer.searchParams.get('iss'), world.issuer);
      assert.equal(a.answer.searchParams.get('state'), a.state);
    }],
    ['a wrong verifier gives invalid_grant and does not burn the code', async () => {
      const a = await attempt(world.person());
      const params = oauth.validateAuthResponse(as, client, a.answer, a.state);
      const wrong = await exchange(params, a, oauth.generateRandomCodeVerifier());
      await refused(oauth.processAuthorizationCodeResponse(as, client, wrong), 'invalid_grant');
      const right = await oauth.processAuthorizationCodeResponse(as, client, await exchange(params, a));
      world.keep(right.access_token, right.refresh_token);
    }],
    ['revokes (RFC 7009), after which a refresh gives invalid_grant', async () => {
      const revoke = (token, hint) => oauth.revocationRequest(
        as, client, oauth.None(), token, { ...insecure, additionalParameters: { token_type_hint: hint } });
      await oauth.processRevocationResponse(await revoke(tokens.access_token, 'access_token'));
      await oauth.processRevocationResponse(await revoke(tokens.refresh_token, 'refresh_token'));
      await refused(oauth.processRefreshTokenResponse(as, client, await refresh(tokens.refresh_token)), 'invalid_grant');
      await oauth.processRevocationResponse(await revoke(tokens.refresh_token, 'refresh_token'));
    }],
    ['a code is worth nothing the second time', async () => {
      await refused(oauth.processAuthorizationCodeResponse(as, client, await exchange(used.params, used.a)), 'invalid_grant');
    }],
    ['a document that is not there is a page, never a redirect', async () => {
      const url = new URL(as.authorization_endpoint);
      url.search = new URLSearchParams({
        client_id: 'https://other-client.example/oauth/nobody.json', redirect_uri: 'http://127.0.0.1:1/callback', response_type: 'code',
        code_challenge: await oauth.calculatePKCECodeChallenge(oauth.generateRandomCodeVerifier()), code_challenge_method: 'S256',
      });
      const page = await world.person().open(url);
      assert.equal(page.status, 400);
      assert.match(page.body, /document_unavailable/);
      assert.ok(world.fetched.includes('/oauth/nobody.json'));
    }],
    ['nothing but documents was fetched from the client', () => {
      assert.deepEqual([...new Set(world.fetched)].sort(), ['/oauth/nobody.json', '/oauth/oauth4webapi.json']);
    }],
  ];
}
