import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { authoritiesOf, authorityLines, plainKeysOf, replaceAuthorities } from './known-hosts.ts';

const blob = (): Buffer => publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob;
const [a, b, c] = [blob(), blob(), blob()];
const proxy = { proxyHost: 'proxy', ssh: { host: 'proxy', port: 3023 } };
const linesFor = (key: Buffer, names = proxy): readonly string[] =>
  authorityLines([{ clusterName: 'example', checkingKeys: [toAuthorizedKeyLine(key)] }], names);

describe('known hosts', () => {
  it('name the cluster and the proxy for stock ssh', () => {
    const [line = ''] = linesFor(a);
    expect(line.split(' ').slice(0, 2)).toEqual([
      '@cert-authority',
      '*.example,[*.example]:*,proxy,[proxy]:3023',
    ]);
    expect(line).toMatch(/ssh-ed25519 \S+ clustername=example&type=host&proxy=proxy$/);
  });
  it('believe an authority only for the proxy that named it', () => {
    const other = linesFor(b, { proxyHost: 'other', ssh: { host: 'other', port: 3023 } });
    const text = [...linesFor(a), ...other, `example ${toAuthorizedKeyLine(c)}`].join('\n');
    expect(authoritiesOf(text, 'proxy')).toEqual([a]);
    expect(authoritiesOf(text, 'other')).toEqual([b]);
    expect(authoritiesOf(text, 'third')).toEqual([]);
  });
  it('lose the old authorities of a proxy at a login, and no other line', () => {
    const before = [`# mine`, ...linesFor(a), `host ${toAuthorizedKeyLine(c)}`].join('\n');
    const after = replaceAuthorities(before, 'proxy', linesFor(b));
    expect(authoritiesOf(after, 'proxy')).toEqual([b]);
    expect(after.split('\n').slice(0, 2)).toEqual(['# mine', `host ${toAuthorizedKeyLine(c)}`]);
  });
  it('hold plain keys for exactly one address', () => {
    const text = `[h]:22,x ${toAuthorizedKeyLine(a)}\n@cert-authority x ${toAuthorizedKeyLine(b)}\nx ssh-rsa junk\n`;
    expect(plainKeysOf(text, 'x')).toEqual([a]);
    expect(plainKeysOf(text, 'y')).toEqual([]);
  });
});
