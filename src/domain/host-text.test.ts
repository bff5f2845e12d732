import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalHostPart,
  clusterName,
  hostAddress,
  hostId,
  hostName,
  hostPart,
  isLoopback,
  labelKey,
  labelValue,
  parseHostAddress,
  programVersion,
} from './host-text.ts';

const schemas = {
  clusterName,
  hostAddress,
  hostId,
  hostName,
  hostPart,
  labelKey,
  labelValue,
  programVersion,
};
/** What breaks lines, hides, means many, or quotes. */
const hostile = [
  ...[
    '\n',
    '\r',
    '\0',
    '\x1b',
    '\x7f',
    '\x85',
    '\x9b',
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\u200b',
    '\ufeff',
  ],
  ...['\ud800', '\u{e0041}'],
];
const quoting = ['*', '?', ' ', '"', "'", '`', '$', '\\', ',', ';', '|', '#', '%', '=', '@', '!', '(', 'é'];

describe('the fields of a host', () => {
  it.each(Object.entries(schemas))(
    '%s takes no text with a hidden character, wherever it stands',
    (_, schema) => {
      const good = ['n1', 'db-1.example.com', '10.0.0.1', 'n1:3022', '[fd00::1]:22', '4.5.0', 'env'];
      fc.assert(
        fc.property(fc.constantFrom(...good), fc.constantFrom(...hostile), fc.nat(20), (text, evil, at) => {
          const i = at % (text.length + 1);
          expect(schema.safeParse(text.slice(0, i) + evil + text.slice(i)).success).toBe(false);
        }),
      );
    },
  );
  it('takes nothing that quotes or means many, but in the value of a label', () => {
    const narrow = Object.values(schemas).filter((schema) => schema !== labelValue);
    for (const schema of narrow)
      for (const evil of quoting)
        for (const text of [evil, `${evil}n1`, `n1${evil}`, `n${evil}1:3022`, `n1:30${evil}22`])
          expect(schema.safeParse(text).success, text).toBe(false);
    expect(labelValue.safeParse('Größe "L" * 2').success).toBe(true);
  });
  it('never takes more than it says', () => {
    for (const schema of Object.values(schemas))
      expect(schema.safeParse('a'.repeat(65_536)).success).toBe(false);
  });
  it('takes any text at all without failing otherwise', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        for (const schema of Object.values(schemas)) schema.safeParse(text);
        const address = parseHostAddress(text);
        if (address !== undefined) expect(text).toMatch(/^[\x21-\x7e]+$/);
      }),
    );
  });
});

describe('hostName', () => {
  it.each(['n1', 'db_1', 'DB1.example.com', 'a-b', '4f3c2b1a0d9e', '123456789012', '7', 'x.1'])(
    'takes %j',
    (name) => {
      expect(hostName.safeParse(name).success).toBe(true);
    },
  );
  it.each([
    ...['', '.', 'a.', '.a', 'a..b', '-a', 'a-', 'a'.repeat(64), '10.0.0.1', '127.1', '0x7f000001'],
    ...['0x7f.1', '::1', 'a:1', 'a/b', '..', '*', '*.a', '[::1]'],
  ])('refuses %j', (name) => {
    expect(hostName.safeParse(name).success).toBe(false);
  });
});

describe('addresses', () => {
  it.each([
    ['n1:3022', 'n1', 3022],
    ['10.0.0.1:22', '10.0.0.1', 22],
    ['[fd00::1]:65535', 'fd00::1', 65535],
  ])('reads %s', (text, host, port) => {
    expect(parseHostAddress(text)).toEqual({ host, port });
  });
  it.each([
    ...[
      '',
      'n1',
      ':22',
      '*:22',
      'n1:',
      'n1:0',
      'n1:022',
      'n1:65536',
      'n1:-1',
      'fd00::1:22',
      '[n1]:22',
      '[10.0.0.1]:22',
    ],
    ...[
      '[fe80::1%eth0]:22',
      '[::1]:80/[x]:1',
      'tcp://n1:22',
      'n1:22/',
      'u@n1:22',
      '127.1:22',
      '256.1.1.1:22',
    ],
  ])('refuses %j', (text) => {
    expect(parseHostAddress(text)).toBeUndefined();
    expect(hostAddress.safeParse(text).success).toBe(false);
  });
  it('writes one host in one way', () => {
    expect(canonicalHostPart('FD00:0:0::1')).toBe('fd00::1');
    expect(canonicalHostPart('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(canonicalHostPart('DB1')).toBe('db1');
    for (const name of [
      'localhost',
      'LOCALHOST',
      'x.localhost',
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '::ffff:127.0.0.1',
    ])
      expect(isLoopback(name), name).toBe(true);
    for (const name of ['localhost.example', '10.127.0.0', 'fd00::1'])
      expect(isLoopback(name), name).toBe(false);
  });
});

describe('labels', () => {
  it.each(['env', 'kubernetes.io/role', 'aws:region', '_x', 'constructor'])('takes the key %j', (key) => {
    expect(labelKey.safeParse(key).success).toBe(true);
  });
  it.each(['', '__proto__', 'a b', 'a=b', '*', 'a*', 'a'.repeat(257)])('refuses the key %j', (key) => {
    expect(labelKey.safeParse(key).success).toBe(false);
  });
});
