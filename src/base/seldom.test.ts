import { expect, it } from 'vitest';
import { minute } from './duration.ts';
import { seldom } from './seldom.ts';

it('warns once a minute, with how often it was, and leaves the rest to whoever wants everything', () => {
  const told: string[] = [];
  const keep =
    (level: string) =>
    (message: string, fields?: Readonly<Record<string, unknown>>): void =>
      void told.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const sink = { warn: keep('warn'), debug: keep('debug') };
  let now = 0;
  const tell = seldom(sink, () => now);
  for (const [n, at] of [0, minute - 1, minute].entries()) {
    now = at;
    tell('refused', { n });
  }
  expect(told).toEqual([
    'warn refused {"n":0,"refusedSoFar":1}',
    'debug refused {"n":1,"refusedSoFar":2}',
    'warn refused {"n":2,"refusedSoFar":3}',
  ]);
  told.length = 0;
  const quiet = seldom(sink, () => now, 'nowhere');
  quiet('a', {});
  quiet('b', {});
  expect(told).toEqual(['warn a {"refusedSoFar":1}']);
});
