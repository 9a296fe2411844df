// The client as the demo's page has it, embedded in the engine: one file, which cannot fall behind.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../scripts/page.mjs', import.meta.url));
const EMBEDDED = new URL('../../../../src/demo/page/client.js', import.meta.url);

test('the embedded file is what this client bundles to, byte for byte', () => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

test('it stands alone: nothing else is imported by name', () => {
  const text = readFileSync(EMBEDDED, 'utf8');
  assert.deepEqual(text.match(/^import .*|\bimport\(['"].*/gm), null);
});
