// The document is what it says it is: AsyncAPI 3, its examples fit it, and the types fit it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { Ajv } from 'ajv';
import formats from 'ajv-formats';

import { document, faults, schema } from './support/document.js';

const require = createRequire(import.meta.url);
const { messages, schemas } = document.components;
const HOME = new URL('../../', import.meta.url);

test('the document is AsyncAPI 3', () => {
  // The schema brings its own copy of draft 07, which ajv would hold for a second one.
  const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
  formats.default(ajv);
  const judge = ajv.compile(require('@asyncapi/specs/schemas/3.0.0.json'));
  assert.ok(judge(document), ajv.errorsText(judge.errors));
  assert.equal(judge({ ...document, channels: 1 }), false);
});

test('every reference leads somewhere, and every schema is led to', () => {
  const seen = new Set<string>();
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key !== '$ref') walk(inner);
      else {
        const path = String(inner).split('/').slice(1);
        const found = path.reduce<any>((at, part) => at?.[part], document);
        assert.notEqual(found, undefined, String(inner));
        seen.add(path.at(-1)!);
      }
    }
  };
  walk(document);
  // Those that are entered from outside: the two sums, the maps by op, the long poll.
  const doors = ['ClientFrame', 'ServerFrame', 'Commands', 'Answers', 'Events', 'Ephemerals'];
  const unused = Object.keys(schemas).filter((name) => !seen.has(name));
  assert.deepEqual(unused.sort(), [...doors, 'StreamAnswer'].sort());
});

test('every example fits its schema and the sum of its side', () => {
  const up: string[] = schemas['ClientFrame']!['oneOf'] as string[];
  const sides = JSON.stringify([...up, ...(schemas['Cmd']!['oneOf'] as string[])]);
  for (const [name, message] of Object.entries(messages)) {
    const judge = schema(message.payload.$ref.split('/').at(-1)!);
    assert.ok(message.examples.length > 0, name);
    const side = sides.includes(`"${message.payload.$ref}"`) ? 'ClientFrame' : 'ServerFrame';
    for (const { payload } of message.examples) {
      assert.ok(judge(payload), `${name}: ${JSON.stringify(judge.errors)}`);
      assert.equal(faults(side, payload), '', name);
      assert.equal(name.split('.')[0], payload['t'], name);
    }
  }
});

test('a client may add nothing, the engine may', () => {
  for (const [name, { examples, payload: about }] of Object.entries(messages)) {
    for (const { payload } of examples) {
      const more = { ...payload, more: true };
      const body = { ...payload, d: { ...(payload['d'] as object), more: true } };
      const judge = schema(about.$ref.split('/').at(-1)!);
      const isUp = faults('ClientFrame', payload) === '';
      const shared = ['ping.up', 'ping.down', 'pong.up', 'pong.down'].includes(name);
      if (isUp && !shared) assert.equal(judge(more), false, name);
      if (isUp && 'd' in payload) assert.equal(judge(body), false, `${name}.d`);
      if (!isUp) assert.ok(judge(more), name);
      if (!isUp && 'd' in payload) assert.ok(judge(body), `${name}.d`);
    }
  }
});

test('what the engine refuses does not fit', () => {
  const id = '0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b';
  const bad = [
    {},
    { t: 'nope' },
    { t: 'ack' },
    { t: 'ack', seq: -1 },
    { t: 'ack', seq: 1.5 },
    { t: 'ping', ts: {} },
    { t: 'hello', v: 1 },
    { t: 'hello', v: 2, auth: { bearer: 'b' } },
    { t: 'hello', v: 1, auth: { bearer: 'b', ticket: 't' } },
    { t: 'hello', v: 1, auth: { bearer: 'b' }, device: 'phone' },
    { t: 'hello', v: 1, auth: { bearer: 'b' }, resume: { seq: 1 } },
    { t: 'cmd', id, op: 'ride.fly', key: id },
    { t: 'cmd', id: 'b9d7f6a2-5d1e-4c3b-9a8f-7e6d5c4b3a21', op: 'ride.accept', key: id },
    { t: 'cmd', id, op: 'ride.accept' },
    { t: 'cmd', id, op: 'ride.start', key: id, d: { pin: '42' } },
    { t: 'cmd', id, op: 'ride.cancel', key: id, d: { reason: 'bored' } },
    { t: 'tel', n: 1, pts: [] },
    { t: 'tel', n: 1, pts: [[1, 2]] },
    { t: 'tel', n: 1, pts: [[1, 2, '3']] },
    { t: 'auth' },
  ];
  for (const frame of bad) assert.notEqual(faults('ClientFrame', frame), '', JSON.stringify(frame));
});

test('every close code of the contract is described', () => {
  const session = document.channels['session'] as { 'x-close-codes': { code: number }[] };
  const codes = session['x-close-codes'];
  const range = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const webSocket = [1002, 1003, 1007];
  const expected = [...webSocket, ...range(4000, 4007), ...range(4100, 4104), ...range(4200, 4204)];
  assert.deepEqual(codes.map(({ code }) => code), expected);
});

test('the types are those of the document', async () => {
  const { types } = (await import(new URL('scripts/schema.mjs', HOME).href)) as {
    types: (from: unknown) => string;
  };
  const made = readFileSync(new URL('src/schema.ts', HOME), 'utf8');
  assert.equal(types(document), made, 'npm run schema');
});
