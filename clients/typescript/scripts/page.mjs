// Makes src/demo/page/client.js of the engine: this client as one ES module, readable and without
// dependencies, which the demo's page imports. `--check`: is it in step?

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild-wasm';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = new URL('../../../src/demo/page/client.js', import.meta.url);
const BANNER = `// The official client, made from clients/typescript by its \`npm run page\`.
// Whoever edits this file edits the wrong one.
`;

const { outputFiles } = await build({
  absWorkingDir: ROOT,
  entryPoints: ['src/index.ts'],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  // Only what is said here: no settings of whoever builds.
  tsconfigRaw: { compilerOptions: { target: 'ES2022', verbatimModuleSyntax: true } },
  banner: { js: BANNER },
  write: false,
});
const made = outputFiles[0].text;
if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, made);
} else if (readFileSync(PAGE, 'utf8') !== made) {
  console.error('src/demo/page/client.js is not what this client is now: npm run page');
  process.exit(1);
}
