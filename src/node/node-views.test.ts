import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostRecord } from '../domain/host-info.ts';
import { lineVariables, preludeInput } from '../machine/program-line.ts';
import { hostsView, type HostsState } from '../views/hosts.ts';
import { project } from '../views/testing.ts';
import { webProxyAddress } from './node-views.ts';

const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const proxy = (n: number, said: Partial<HostRecord> = {}): HostRecord => ({
  hostId: idOf(n),
  role: 'Proxy',
  nodename: `p${n}`,
  address: `10.0.0.${n}:3080`,
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
  ...said,
});
/** As the log has them, whichever release stored them. */
const stored = (...hosts: HostRecord[]): HostsState =>
  project(
    hostsView,
    hosts.map((host) => [`host-${host.hostId}`, { type: 'host.joined', data: { host } }] as const),
  );

describe('what sessions are told of the web port', () => {
  it('is the address of a proxy, or that there is none', () => {
    expect(webProxyAddress(stored())).toBe('<proxyhost>:3080');
    expect(webProxyAddress(stored(proxy(1)))).toBe('10.0.0.1:3080');
    expect(webProxyAddress(stored(proxy(1, { publicAddress: 'web.example.com:443' })))).toBe(
      'web.example.com:443',
    );
  });
  it('is not what a proxy says that came in later, however it is called', () => {
    expect(
      webProxyAddress(stored(proxy(2), proxy(1, { nodename: '0', publicAddress: 'evil.example:443' }))),
    ).toBe('10.0.0.2:3080');
  });
  it('is one line of one variable, whatever a release before stored', () => {
    const text = fc.oneof(
      fc.constantFrom('x:1\nBASH_ENV=$(id)', 'x:1\0A=b', 'x:1\r\nPROMPT_COMMAND=id', '*:3023', '\u202e:1'),
      fc.string({ unit: 'binary', maxLength: 300 }),
    );
    fc.assert(
      fc.property(text, text, (publicAddress, address) => {
        const said = webProxyAddress(stored(proxy(1, { publicAddress, address })));
        expect(said).toMatch(/^[A-Za-z0-9._<>[\]:-]+$/);
        const { variables } = lineVariables([['SSH_SESSION_WEBPROXY_ADDR', said]]);
        expect(preludeInput(variables)).toBe(`SSH_SESSION_WEBPROXY_ADDR=${said}\n`);
      }),
      { numRuns: 50 },
    );
  });
});
