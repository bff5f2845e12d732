import { TLSSocket } from 'node:tls';
import { expect, it } from 'vitest';
import { tellClient } from '../base/client-of.ts';
import { identifyCallers, type CallerFacts } from './callers.ts';

const facts: CallerFacts = {
  now: () => '2026-01-01T00:00:00.000Z',
  clusterName: () => 'example',
  authorities: () => ({ user: [], host: [] }),
  withdrawn: () => [],
  activeUser: () => undefined,
  foreignAuthorities: () => [],
  foreignUser: () => undefined,
  lockedBy: () => undefined,
};

it('a caller has the address that the balancer before this server names', () => {
  const ends = { remoteAddress: '10.0.0.7', remotePort: 4711 };
  const socket = Object.create(TLSSocket.prototype, {
    getPeerX509Certificate: { value: () => undefined },
    remoteAddress: { value: ends.remoteAddress },
    remotePort: { value: ends.remotePort },
    localAddress: { value: undefined },
    localPort: { value: undefined },
  }) as TLSSocket;
  const callerOf = identifyCallers(facts);
  expect(callerOf(socket).address).toBe('10.0.0.7:4711');
  let close: () => void = () => undefined;
  const raw = { ...ends, once: (_event: string, act: () => void) => (close = act) };
  tellClient(raw as never, { host: '203.0.113.9', port: 5 });
  expect(callerOf(socket)).toEqual({ kind: 'anyone', address: '203.0.113.9:5' });
  close();
  expect(callerOf(socket).address).toBe('203.0.113.9:5');
});
