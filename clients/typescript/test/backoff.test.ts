// What a client does after each range of close codes, by table.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { afterClose } from '../src/backoff.js';

const most = () => 0.999_999;
const pause = (code: number, failures: number, random = most): number | 'stop' => {
  const verdict = afterClose(code, failures, random);
  return verdict.kind === 'stop' ? 'stop' : verdict.inMs;
};

test('40xx stops', () => {
  for (const code of [4000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4042, 4099]) {
    assert.equal(pause(code, 0), 'stop', String(code));
  }
});

test('the longest pause doubles up to a cap', () => {
  const table: [code: number, longest: number[]][] = [
    [4100, [999, 1999, 3999, 7999, 15_999, 31_999, 59_999, 59_999]],
    [4103, [999, 1999]],
    [4199, [999, 1999]],
    [4342, [999, 1999]],
    [4200, [0, 499, 999, 1999, 3999, 7999, 9999, 9999]],
    [4204, [0, 499]],
    [4299, [0, 499]],
    [1006, [249, 999, 1999, 3999, 7999, 15_999, 29_999, 29_999]],
    [1000, [249, 999]],
    [1011, [249, 999]],
  ];
  for (const [code, longest] of table) {
    assert.deepEqual(longest.map((_, failures) => pause(code, failures)), longest, String(code));
  }
});

test('the jitter is full: any pause down to none', () => {
  for (const code of [4100, 1006, 4200]) {
    assert.equal(pause(code, 5, () => 0), 0);
    assert.ok(Number(pause(code, 5, () => 0.25)) * 3.9 < Number(pause(code, 5)));
  }
});

test('many failures in a row are no overflow', () => {
  assert.equal(pause(1006, 1e6), 29_999);
});
