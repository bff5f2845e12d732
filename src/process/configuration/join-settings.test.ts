import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfiguration, type Flags } from './configuration.ts';
import { readToken } from './join-settings.ts';

const base64 = (yaml: string): string => Buffer.from(yaml).toString('base64');
const read = (yaml: string, flags: Flags = {}): ReturnType<typeof readConfiguration>['join'] =>
  readConfiguration({ configString: base64(yaml), ...flags }, {}).join;
const pin = (digit: string): string => `sha256:${digit.repeat(64)}`;
const misconfigured = (message: string): unknown =>
  expect.objectContaining({ code: 'misconfigured', message: expect.stringContaining(message) as string });

describe('how a machine comes into a cluster', () => {
  it('is by the auth server of this machine, without token and pin, when nothing is said', () => {
    expect(read('')).toEqual({
      authServers: [{ host: '127.0.0.1', port: 3025 }],
      token: undefined,
      pins: [],
      given: [],
      kind: 'either',
    });
  });
  it('is read from the file', () => {
    const found = read(
      `teleport: {auth_token: s3cret, ca_pin: [${pin('a')}, ${pin('B')}], auth_servers: [a.example, 'b.example:1']}`,
    );
    expect(found).toEqual({
      authServers: [
        { host: 'a.example', port: 3025 },
        { host: 'b.example', port: 1 },
      ],
      token: 's3cret',
      pins: [pin('a'), pin('b')],
      given: ['auth_servers', 'auth_token', 'ca_pin'],
      kind: 'either',
    });
    expect(read(`teleport: {ca_pin: '${pin('a')}, ${pin('a')}'}`).pins).toEqual([pin('a')]);
  });
  it('is through proxies, where the file names one instead of auth servers', () => {
    expect(read('teleport: {proxy_server: p.example}')).toMatchObject({
      authServers: [{ host: 'p.example', port: 3080 }],
      kind: 'proxies',
      given: ['proxy_server'],
    });
    expect(read('teleport: {proxy_server: p.example}', { authServers: ['a'] })).toMatchObject({
      authServers: [{ host: 'a', port: 3025 }],
      kind: 'either',
      given: ['auth_servers'],
    });
    expect(() => read('teleport: {proxy_server: p.example, auth_servers: a.example}')).toThrow(
      misconfigured('auth_servers and proxy_server are both set'),
    );
  });
  it('is what the flags say, where there are any', () => {
    const file = `teleport: {auth_token: a, ca_pin: ${pin('a')}, auth_servers: a}`;
    const flags = { token: 'b', caPins: [`${pin('b')},${pin('c')}`, pin('d')], authServers: ['b:2', 'c'] };
    expect(read(file, flags)).toMatchObject({
      authServers: [
        { host: 'b', port: 2 },
        { host: 'c', port: 3025 },
      ],
      token: 'b',
      pins: [pin('b'), pin('c'), pin('d')],
    });
    expect(read(file, { caPins: [], authServers: [] })).toMatchObject({ pins: [pin('a')], token: 'a' });
  });
  it.each([
    ['teleport: {ca_pin: sha1:abc}', {}, "ca_pin: 'sha1:abc' is not a CA pin"],
    ['teleport: {ca_pin: ""}', {}, "ca_pin: '' is not a CA pin"],
    ['teleport: {auth_servers: []}', {}, 'auth_servers is empty'],
    ['teleport: {auth_token: ""}', {}, 'auth_token: a join token'],
    ['', { caPins: [pin('a'), `${pin('a')}0`] }, `--ca-pin: '${pin('a')}0' is not a CA pin`],
    ['', { token: ' ' }, '--token: expected a join token'],
    ['', { authServers: ['a:b:c'] }, "'a:b:c': expected host or host:port"],
  ])('refuses %s %o', (yaml, flags, message) => {
    expect(() => read(yaml, flags)).toThrow(misconfigured(message));
  });
});

describe('reading the token', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'token-'));
  });
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });
  it('takes it as it stands, or from the file that is named by its absolute path, each time anew', () => {
    const path = join(dir, 'token');
    writeFileSync(path, ' first\n');
    expect(readToken({ token: 's3cret' })).toBe('s3cret');
    expect(readToken({ token: path })).toBe('first');
    writeFileSync(path, 'second');
    expect(readToken({ token: path })).toBe('second');
  });
  it('names the file it cannot use', () => {
    const path = join(dir, 'empty');
    writeFileSync(path, '\n');
    chmodSync(path, 0o600);
    expect(() => readToken({ token: path })).toThrow(misconfigured(`the file ${path} is empty`));
    expect(() => readToken({ token: join(dir, 'none') })).toThrow(misconfigured(join(dir, 'none')));
    expect(() => readToken({ token: undefined })).toThrow(misconfigured('no token to join with'));
  });
});
