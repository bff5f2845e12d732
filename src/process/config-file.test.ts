import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { CodedError } from '../base/errors.ts';
import { parseConfigFile } from './config-file.ts';
import { parseDuration } from '../base/quantities.ts';

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
  it.each([
    [
      'teleport:\n  shutdown_timeout: 99999999999h\n',
      'teleport.yaml:2:3: teleport.shutdown_timeout: "99999999999h" is too long',
    ],
    [
      'teleport:\n  restart_timeout: 577h\n',
      'teleport.yaml:2:3: teleport.restart_timeout: "577h" is too long: from 1ms to 576h',
    ],
    ['auth_service:\n  max_log_lag: 1e9h\n', 'teleport.yaml:2:3: auth_service.max_log_lag: invalid duration'],
    ['ssh_service:\n  commands:\n  - {name: a, command: [b], period: 1ms}\n', 'period: at least 1s'],
    [
      'teleport:\n  storage:\n    type: etcd\n    peers: [http://a:1]\n    prefix: p\n    insecure: yes\n    dial_timeout: 600h\n',
      'teleport.yaml:7:5: teleport.storage.dial_timeout: "600h" is too long',
    ],
    [
      'teleport:\n  storage:\n    type: dynamodb\n    table_name: ttt\n    poll_stream_period: 999999h\n',
      'teleport.storage.poll_stream_period: "999999h" is too long',
    ],
  ])('refuses a duration that no timer takes, and names its place: %j', (text, said) => {
    expect(fault(text)).toContain(said);
  });
  it('refuses what this release does not have, by name', () => {
    expect(fault('ssh_service:\n  pam: {enabled: yes}\n')).toContain(
      'ssh_service.pam: pam is not in this release',
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
