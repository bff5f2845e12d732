import { describe, expect, it } from 'vitest';
import { usesTls } from './options.ts';
import type { EtcdOptions } from './options.ts';

const options = (more: Partial<EtcdOptions> = {}): EtcdOptions => ({
  peers: [],
  prefix: '/teleport',
  insecure: false,
  dialTimeoutMs: 1_000,
  ...more,
});
const withFiles: readonly Partial<EtcdOptions>[] = [
  { tlsCaFile: 'ca.pem' },
  { tlsCertFile: 'client.pem' },
  { tlsKeyFile: 'client.key' },
];

describe('a peer', () => {
  it('that says https:// is spoken to with TLS, with files or without', () => {
    for (const more of [{}, { insecure: true }, ...withFiles])
      expect(usesTls('https://etcd1:2379', options(more))).toBe(true);
  });

  it('that says nothing is spoken to with TLS when there are files', () => {
    expect(usesTls('etcd1:2379', options())).toBe(false);
    for (const more of withFiles) expect(usesTls('etcd1:2379', options(more))).toBe(true);
  });

  it('that says http:// is refused beside TLS files, by name', () => {
    expect(usesTls('http://etcd1:2379', options())).toBe(false);
    for (const more of withFiles)
      expect(() => usesTls('http://etcd1:2379', options(more))).toThrow(
        expect.objectContaining({
          code: 'misconfigured',
          message: expect.stringMatching(/http:\/\/etcd1:2379.*write https:\/\//) as string,
        }) as Error,
      );
  });
});
