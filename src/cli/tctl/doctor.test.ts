import { expect, it } from 'vitest';
import { textOf } from './doctor.ts';

it('prints one line for each way, and below those of one visitor once what to change', () => {
  const advice = 'open the tunnel port';
  const fails = { status: 'fails', why: 'refused\n' } as const;
  expect(
    textOf('proxy.example:3080 (10.0.0.1)', [
      {
        visitor: 'a browser',
        way: 'https://x',
        result: { status: 'works', note: 'version 4.5.0' },
        advice: '',
      },
      { visitor: 'a node', way: 'x:3024', result: fails, advice },
      { visitor: 'a node', way: 'x:3080', result: fails, advice },
    ]),
  ).toBe(
    [
      ...['proxy.example:3080 (10.0.0.1)', '', 'a browser', '  works  https://x: version 4.5.0', ''],
      ...['a node', String.raw`  fails  x:3024: refused\n`, String.raw`  fails  x:3080: refused\n`],
      ...['  => open the tunnel port', ''],
    ].join('\n'),
  );
});
