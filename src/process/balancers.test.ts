import { describe, expect, it } from 'vitest';
import { balancersIn } from './balancers.ts';
import { parseConfigFile } from './configuration/config-file.ts';

const listeners = ['proxy:ssh', 'proxy:tunnel', 'proxy:web', 'auth', 'node', 'diag'];
/** At which listeners a header is due from that address. */
const due = (text: string, ip: string): string[] => {
  const { headersDueFrom } = balancersIn(parseConfigFile(text, 'x'));
  return listeners.filter((name) => headersDueFrom(name)?.(ip));
};

describe('the balancers before a process', () => {
  it.each([
    ['', []],
    ['proxy_service: {trusted_balancers: [10.0.0.1]}', []],
    [
      'proxy_service: {trusted_balancers: [10.0.0.1], proxy_protocol: on}',
      ['proxy:ssh', 'proxy:tunnel', 'proxy:web'],
    ],
    ['proxy_service: {trusted_balancers: [10.0.0.1], proxy_protocol: ssh}', ['proxy:ssh', 'proxy:tunnel']],
    ['auth_service: {trusted_balancers: [10.0.0.1], proxy_protocol: on}', ['auth']],
  ])('send a header where it is asked for: %s', (text, names) => {
    expect(due(text, '10.0.0.1')).toEqual(names);
    expect(due(text, '10.0.0.2')).toEqual([]);
  });

  it('of one service are none of the other', () => {
    const text =
      'proxy_service: {trusted_balancers: [10.0.0.1], proxy_protocol: on}\n' +
      'auth_service: {trusted_balancers: [10.0.0.2], proxy_protocol: on}\n';
    expect(due(text, '10.0.0.2')).toEqual(['auth']);
    const { isBalancer } = balancersIn(parseConfigFile(text, 'x'));
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(isBalancer)).toEqual([true, true, false]);
  });
});
