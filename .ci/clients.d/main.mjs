// Runs every check against one world and closes with the count. The argument
// is a directory with the programs guestlist and mcp-server, cert.pem and
// key.pem.
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import { mcpChecks } from './mcp.mjs';
import { oauth4webapiChecks } from './oauth4webapi.mjs';
import { World } from './world.mjs';

const require = createRequire(import.meta.url);
const wanted = require('./package.json').dependencies;
for (const [name, version] of Object.entries(wanted)) {
  console.log(`${name} ${version}`);
}

let passed = 0;
let failed = 0;

// A check that fails leaves nothing for those after it in its group to stand
// on: they fail too, and are counted.
async function group(name, checks) {
  let broken;
  for (const [title, check] of checks) {
    try {
      if (broken) {
        throw new Error(`not reached: "${broken}" failed`);
      }
      await check();
      passed++;
      console.log(`ok    ${name}: ${title}`);
    } catch (err) {
      failed++;
      broken ??= title;
      console.log(`FAIL  ${name}: ${title}\n${inspect(err, { depth: 4 })}`);
    }
  }
}

const world = new World(process.argv[2]);
try {
  await world.start();
  await group('oauth4webapi', oauth4webapiChecks(world));
  await group('MCP TypeScript SDK', mcpChecks(world));
  await group('processes', [['guestlist and the MCP server stop when they are asked to', () => world.stop()]]);
  await group('logs', [['no code, verifier or token of any client is in one', () => world.checkLogs()]]);
} catch (err) {
  failed++;
  console.log(`FAIL  ${inspect(err)}`);
} finally {
  world.kill();
}
if (failed > 0) {
  console.log(world.logs());
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
