import { describe, expect, it } from 'vitest';
import { figuresOf, isAtBar, line, type Tried } from './report.ts';
import { fileSeconds, limitsFor, verdictOf } from './test-run.ts';

const file = (status: string, message = ''): object => ({
  ...{ name: '/a.test.ts', startTime: 1_000, endTime: 3_500, message },
  assertionResults: [{ status, fullName: 'a thing works' }],
});
const report = (...testResults: object[]): string => JSON.stringify({ testResults });

describe('a run of tests', () => {
  it.each([
    ['that passed has the time of each file', 0, report(file('passed')), 'passed'],
    ['that failed names its test', 1, report(file('passed'), file('failed')), 'failed'],
    [
      'in which a file could not be loaded is a failure',
      1,
      report(file('passed', 'no such\nfile')),
      'failed',
    ],
    ['in which an error came from outside of any test is a failure', 1, report(file('passed')), 'failed'],
    ['that left no report says nothing', 1, undefined, 'broken'],
    ['whose report was cut off says nothing', 1, report(file('failed')).slice(0, 20), 'broken'],
    ['that found no test says nothing', 1, report(), 'broken'],
    ['that somebody else ended says nothing', 'SIGKILL', report(file('passed')), 'broken'],
  ] as const)('%s', (_what, exit, text, status) => {
    const verdict = verdictOf(exit, text);
    expect(verdict.status).toBe(status);
    if (verdict.status === 'passed') expect([...verdict.seconds]).toEqual([['/a.test.ts', 2.5]]);
  });
  it('says by what it failed', () => {
    expect(verdictOf(1, report(file('failed')))).toMatchObject({ by: 'a thing works' });
    expect(verdictOf(1, report(file('passed', 'no such\nfile')))).toMatchObject({
      by: '/a.test.ts: no such',
    });
  });
});

describe('the time that a run gets', () => {
  it('is ten times what it took unchanged, and never less than two minutes', () => {
    const files = [1, 20].map((seconds) => ({ path: `${seconds}`, seconds }));
    expect(limitsFor(files)).toEqual({ testMs: 200_000, runMs: 210_000 });
    expect(limitsFor(files.slice(0, 1))).toEqual({ testMs: 30_000, runMs: 120_000 });
  });
  it('counts with a file its share of what passed outside of tests', () => {
    const seconds = fileSeconds(new Map([['a', 2]]).set('b', 4), 16);
    expect(['a', 'b', 'unknown'].map(seconds)).toEqual([7, 9, 6]);
  });
});

it('a mutant on which the runner broke is neither noticed nor survived, and no room is at the bar with one', () => {
  const mutant = {
    ...{ id: 1, path: 'src/node/a.ts', room: 'node', line: 3, start: 0, end: 1, from: 'a', kind: 'k' },
    to: { expression: 'b' },
  } as Tried['mutant'];
  const broken: Tried = { mutant, outcome: { status: 'not judged', why: 'ended with 1' } };
  const noticed: Tried = { mutant, outcome: { status: 'noticed', by: 'a test' } };
  expect(line(broken)).toBe('src/node/a.ts:3: not judged (ended with 1): k: a  ->  b');
  expect(figuresOf([broken, noticed])).toMatchObject({ sampled: 2, broken: 1, reached: 1, noticed: 1 });
  expect([isAtBar(figuresOf([noticed])), isAtBar(figuresOf([broken, noticed]))]).toEqual([true, false]);
});
