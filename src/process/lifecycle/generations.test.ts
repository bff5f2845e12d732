import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { joinGenerations } from './generations.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'generations-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

it.each([
  ['no block', new CodedError('no_space', 'cannot write it: ENOSPC')],
  ['no inode', Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })],
])('a full disk (%s left) keeps no daemon from starting, and is told', (_, failure) => {
  const warnings: string[] = [];
  const write = (): never => {
    throw failure;
  };
  const generations = joinGenerations(dir, ['teleport'], {
    sink: { warn: (text) => warnings.push(text) },
    write,
  });
  expect([generations.older(), generations.newer()]).toEqual([[], []]);
  generations.leave();
  expect(warnings).toEqual([expect.stringContaining('free space')]);
});

it('a full disk keeps a reload from taking over: the one that serves goes on', () => {
  const write = (): never => {
    throw new CodedError('no_space', 'cannot write it: ENOSPC');
  };
  const options = { sink: { warn: () => undefined }, hasPredecessor: true, write };
  expect(() => joinGenerations(dir, ['teleport'], options)).toThrow(/ENOSPC/);
});

it('anything else does', () => {
  const write = (): never => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  };
  expect(() => joinGenerations(dir, ['teleport'], { sink: { warn: () => undefined }, write })).toThrow(
    /EACCES/,
  );
});
