import { describe, expect, it } from 'vitest';
import { advertisedHost } from './advertise.ts';

const address = (text: string, internal = false): never =>
  ({ address: text, family: text.includes(':') ? 'IPv6' : 'IPv4', internal }) as never;

describe('choosing the address to tell others', () => {
  const interfaces = {
    lo: [address('127.0.0.1', true)],
    eth0: [address('fe80::1'), address('fd00::5'), address('10.0.0.5')],
  };
  it('is the configured one', () => {
    expect(advertisedHost('1.2.3.4', '0.0.0.0', interfaces)).toBe('1.2.3.4');
  });
  it('is the one it listens on', () => {
    expect(advertisedHost(undefined, '127.0.0.1', interfaces)).toBe('127.0.0.1');
  });
  it('is the first that others can reach, when it listens everywhere', () => {
    expect(advertisedHost(undefined, '0.0.0.0', interfaces)).toBe('10.0.0.5');
    expect(advertisedHost(undefined, '::', { eth0: [address('fe80::1'), address('fd00::5')] })).toBe(
      'fd00::5',
    );
    expect(advertisedHost(undefined, '0.0.0.0', {})).toBe('127.0.0.1');
  });
});
