import { type Duplex, PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Agents } from '../tunnel/agents.ts';
import type { Asked } from '../tunnel/link-options.ts';
import { acceptTunnelled } from './tunnelled.ts';

function bench() {
  const accepted: Duplex[] = [];
  let serve: ((asked: Asked) => void) | undefined;
  const agents = { serve: (act: (asked: Asked) => void) => (serve = act) } as unknown as Agents;
  const tunnelled = acceptTunnelled(agents, (stream) => accepted.push(stream));
  /** What becomes of a stream that is asked for. */
  const ask = (wish: unknown) => {
    const stream = new PassThrough();
    const refused: string[] = [];
    serve?.({
      ...{ wish, signal: new AbortController().signal, accept: () => stream },
      refuse: (e) => refused.push(e.code),
    });
    return { stream, refused };
  };
  return { accepted, tunnelled, ask };
}

it('streams for the node itself come in as connections do, and no others', () => {
  const { accepted, ask } = bench();
  const { stream, refused } = ask({ to: 'own-node' });
  expect([accepted, refused]).toEqual([[stream], []]);
  for (const wish of [{ to: 'auth' }, { to: 'something newer' }, undefined])
    expect(ask(wish).refused).toEqual(['not_found']);
  expect(accepted).toHaveLength(1);
});

it('they are waited for until the last has closed, also those that come meanwhile', async () => {
  const { tunnelled, ask } = bench();
  await tunnelled.gone();
  const first = ask({ to: 'own-node' }).stream;
  let gone = false;
  const waiting = tunnelled.gone().then(() => (gone = true));
  const second = ask({ to: 'own-node' }).stream;
  first.destroy();
  await turn();
  expect(gone).toBe(false);
  second.destroy();
  await waiting;
});
