import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readConfiguration } from '../configuration/configuration.ts';
import { openSecrets } from './open-secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const write = (name: string, text: string, mode: number): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};
const warnings = (yaml: string, mode: number): string[] =>
  openSecrets(readConfiguration({ config: write('teleport.yaml', yaml, mode) }, {}));

describe('a configuration that every user of the machine may read', () => {
  it.each([
    ['teleport: {auth_token: secret}', 'teleport.auth_token'],
    ['auth_service: {tokens: ["node:secret"]}', 'auth_service.tokens'],
    [
      'teleport: {storage: {type: dir, witness: "https://joe:secret@w.example/"}}',
      'teleport.storage.witness',
    ],
    [
      'teleport: {storage: {type: dynamodb, region: x, table_name: yyy, access_key: a, secret_key: b}}',
      'teleport.storage.secret_key',
    ],
  ])('is told of, with what is in it and what to do: %s', (yaml, holds) => {
    const path = join(folder, 'teleport.yaml');
    expect(warnings(yaml, 0o644)).toEqual([
      `${path} is open to every user of this machine (mode 0644) and holds ${holds}: chmod o= ${path}, ` +
        'and replace what others may have read',
    ]);
    expect(warnings(yaml, 0o640)).toEqual([]);
  });
  it("is nobody's business without a secret in it", () => {
    expect(
      warnings('teleport: {nodename: x, storage: {type: dir, witness: "https://w.example/"}}', 0o644),
    ).toEqual([]);
  });
  it('may name files that hold the secrets, which are looked at instead', () => {
    const [open, shut] = [write('open', 'x', 0o604), write('shut', 'x', 0o600)];
    const yaml = `teleport: {auth_token: ${open}}\nauth_service: {tokens: ["node:${open}", "proxy:${shut}"]}\nproxy_service: {https_key_file: ${open}, https_cert_file: x}`;
    expect(warnings(yaml, 0o644).map((line) => line.replace(/.* and holds (.*): chmod.*/, '$1'))).toEqual([
      'a join token (auth_token)',
      'a join token',
      'the private key of the web certificate (https_key_file)',
    ]);
    expect(warnings(`teleport: {auth_token: ${shut}}`, 0o644)).toEqual([]);
    expect(warnings('teleport: {auth_token: /not/there}', 0o644)).toEqual([]);
  });
  it('leaves a file that cannot be looked at to who reads it', () => {
    const path = join(folder, 'loop.pem');
    symlinkSync(path, path);
    expect(warnings(`proxy_service: {enabled: no, https_key_file: ${path}}`, 0o644)).toEqual([]);
  });
});
