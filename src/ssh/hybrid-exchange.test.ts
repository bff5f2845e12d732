import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hybridClient, hybridServer, hybridSupported } from './hybrid-exchange.ts';

it('is offered where the runtime has its parts', () => {
  const has = (): boolean => {
    try {
      generateKeyPairSync('ml-kem-768');
      return true;
    } catch {
      return false;
    }
  };
  expect(hybridSupported).toBe(has());
});

describe.runIf(hybridSupported)('the hybrid key exchange', () => {
  it('gives both sides one secret, another each time', () => {
    const client = hybridClient();
    const [first, second] = [hybridServer(client.init), hybridServer(client.init)];
    expect(client.init).toHaveLength(1184 + 32);
    expect(first.reply).toHaveLength(1088 + 32);
    expect(client.secret(first.reply)).toEqual(first.secret);
    expect(client.secret(second.reply)).toEqual(second.secret);
    expect(first.secret).not.toEqual(second.secret);
    expect(first.secret).toHaveLength(32);
  });

  it('gives a stranger, or whoever changed a byte of either half, another one', () => {
    const client = hybridClient();
    const { reply, secret } = hybridServer(client.init);
    expect(hybridClient().secret(reply)).not.toEqual(secret);
    for (const at of [0, 1087, 1088, 1118]) {
      const changed = Buffer.from(reply);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(client.secret(changed)).not.toEqual(secret);
    }
  });

  it('refuses other lengths, keys that are none, and points of small order', () => {
    const client = hybridClient();
    const { reply } = hybridServer(client.init);
    for (const bytes of [0, 32, 1184, 1215, 1217, 2000])
      expect(() => hybridServer(randomBytes(bytes))).toThrow(`${bytes} bytes instead of 1216`);
    for (const bytes of [0, 32, 1119, 1121])
      expect(() => client.secret(randomBytes(bytes))).toThrow(`${bytes} bytes instead of 1120`);
    expect(() =>
      hybridServer(Buffer.concat([Buffer.alloc(1184, 0xff), client.init.subarray(1184)])),
    ).toThrow();
    const small = Buffer.alloc(32);
    expect(() => hybridServer(Buffer.concat([client.init.subarray(0, 1184), small]))).toThrow();
    expect(() => client.secret(Buffer.concat([reply.subarray(0, 1088), small]))).toThrow();
  });
});
