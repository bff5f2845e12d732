import { describe, expect, it } from 'vitest';
import { advertisedHost } from './advertise.ts';

const address = (text: string, internal = false): never =>
  ({ address: text, family: text.includes(':') ? 'IPv6' : 'IPv4', internal }) as never;

describe('choosing the address to tell others', () => {
  const interfaces = {
    lo: [address('127.0.0.1', true)],
    eth0: [address('fe80::1'), address('fd00::5'), address('10.0.0.5')],
  };
  const now = (interfaces: object) => () => interfaces as never;
  it('is the configured one', () => {
    expect(advertisedHost('1.2.3.4', '0.0.0.0', now(interfaces))()).toBe('1.2.3.4');
  });
  it('is the one it listens on', () => {
    expect(advertisedHost(undefined, '127.0.0.1', now(interfaces))()).toBe('127.0.0.1');
  });
  it('is the first that others can reach, when it listens everywhere', () => {
    expect(advertisedHost(undefined, '0.0.0.0', now(interfaces))()).toBe('10.0.0.5');
    const onlyIPv6 = { eth0: [address('fe80::1'), address('fd00::5')] };
    expect(advertisedHost(undefined, '::', now(onlyIPv6))()).toBe('fd00::5');
    expect(advertisedHost(undefined, '0.0.0.0', now({}))()).toBe('127.0.0.1');
  });
  it('is another once the machine has another, and is kept as long as it has it or has none', () => {
    let interfaces: object = {};
    const told = advertisedHost(undefined, '0.0.0.0', () => interfaces as never);
    const after = (...addresses: string[]): string => {
      interfaces = { eth0: addresses.map((one) => address(one)) };
      return told();
    };
    expect(told()).toBe('127.0.0.1');
    expect(after('10.0.0.5')).toBe('10.0.0.5');
    expect(after('172.17.0.1', '10.0.0.5')).toBe('10.0.0.5');
    expect(after()).toBe('10.0.0.5');
    expect(after('10.0.0.9', '172.17.0.1')).toBe('10.0.0.9');
  });
});
