import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CodedError } from '../base/errors.ts';
import { parseConfigFile } from './config-file.ts';
import { parseDuration } from './config-scalars.ts';

const fault = (text: string): string => {
  try {
    parseConfigFile(text, 'teleport.yaml');
  } catch (e) {
    if (e instanceof CodedError && e.code === 'misconfigured') return e.message;
    throw e;
  }
  throw new Error('accepted');
};

describe('reading teleport.yaml', () => {
  it('takes an empty file as all defaults', () => {
    const file = parseConfigFile('', 'teleport.yaml');
    expect(file.auth_service.enabled).toBe(true);
    expect(file.auth_service.authentication.second_factor).toBe('otp');
    expect(file.teleport.storage.type).toBe('dir');
  });
  it('takes unquoted off for the second factor', () => {
    const file = parseConfigFile('auth_service:\n  authentication:\n    second_factor: off\n', 'x');
    expect(file.auth_service.authentication.second_factor).toBe('off');
  });
  it('names file, line and column of broken YAML', () => {
    expect(fault('teleport:\n  nodename: "x\n')).toMatch(/^teleport\.yaml:\d+:\d+: /);
  });
  it('names an unknown key, its line and its section', () => {
    expect(fault('teleport:\n  nodename: a\n  colour: blue\n')).toBe(
      "teleport.yaml:3:3: unrecognized configuration key: 'colour' in teleport",
    );
  });
  it('refuses a key in the wrong section', () => {
    expect(fault('ssh_service:\n  cluster_name: a\n')).toContain("'cluster_name' in ssh_service");
  });
  it('names the field of a bad value', () => {
    expect(fault('proxy_service:\n  web_listen_addr: ftp://x\n')).toBe(
      "teleport.yaml:2:3: proxy_service.web_listen_addr: 'ftp://x': unsupported scheme: 'ftp'",
    );
  });
  it('refuses a duration without its unit', () => {
    expect(fault('ssh_service:\n  commands:\n  - {name: a, command: [b], period: 5}\n')).toContain(
      'time: missing unit in duration "5"',
    );
  });
  it('refuses what this release does not have, by name', () => {
    expect(fault('ssh_service:\n  pam: {enabled: yes}\n')).toContain(
      'ssh_service.pam: pam is not in this release',
    );
  });
  it.each([
    ['ciphers', 'aes128-cbc', 'cipher'],
    ['mac_algos', 'hmac-sha1', 'MAC'],
    ['kex_algos', 'diffie-hellman-group1-sha1', 'KEX'],
  ])('refuses an algorithm of %s that is not served, by name and place', (key, name, kind) => {
    expect(fault(`teleport:\n  ${key}:\n  - ${name}\n`)).toMatch(
      new RegExp(
        `^teleport.yaml:2:3: teleport.${key}: ${kind} algorithm "${name}" is not supported; supported`,
      ),
    );
  });
  it('never fails but with a coded error', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseConfigFile(text, 'x');
        } catch (e) {
          expect(e).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});

describe('reading a duration', () => {
  it.each([
    ['10h', 36_000_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['250ms', 250],
    ['5', undefined],
    ['h', undefined],
    ['', undefined],
  ])('%s is %s ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });
});
