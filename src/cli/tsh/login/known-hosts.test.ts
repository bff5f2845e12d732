import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../../base/errors.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import {
  authoritiesOf,
  authorityLines,
  knownAuthorities,
  plainKeyLine,
  plainKeysOf,
  replaceAuthorities,
  replaceClusterAuthorities,
} from './known-hosts.ts';

/** Text with what ends words, lines and fields. */
const hostileText = (): fc.Arbitrary<string> =>
  fc.string({
    unit: fc.oneof(fc.constantFrom('\n', '\r', '\0', ' ', ',', '*', '?', '!', '&', '=', '@'), fc.string()),
  });

const blob = (): Buffer => publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob;
const [a, b, c] = [blob(), blob(), blob()];
const proxy = { clusterName: 'example', proxyHost: 'proxy', ssh: { host: 'proxy', port: 3023 } };
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
  it('name nothing of the proxy for the authority of another cluster, whatever that is called', () => {
    const names = { ...proxy, clusterName: 'a.example', proxyHost: 'proxy.example' };
    const [line = ''] = authorityLines(
      [{ clusterName: 'example', checkingKeys: [toAuthorizedKeyLine(b)] }],
      names,
    );
    expect(line.split(' ')[1]?.split(',')).toEqual([
      ...['*.example', '[*.example]:*', '!*.a.example', '![*.a.example]:*'],
      ...['!proxy.example', '![proxy.example]:3023', '!proxy', '![proxy]:3023'],
    ]);
    expect(authoritiesOf(line, 'proxy.example', 'example')).toEqual([b]);
    expect(authoritiesOf(line, 'proxy.example', 'a.example')).toEqual([]);
  });
  it('believe an authority only for the proxy that named it', () => {
    const other = linesFor(b, {
      clusterName: 'example',
      proxyHost: 'other',
      ssh: { host: 'other', port: 3023 },
    });
    const text = [...linesFor(a), ...other, `example ${toAuthorizedKeyLine(c)}`].join('\n');
    expect(authoritiesOf(text, 'proxy', 'example')).toEqual([a]);
    expect(authoritiesOf(text, 'other', 'example')).toEqual([b]);
    expect(authoritiesOf(text, 'third', 'example')).toEqual([]);
  });
  it('lose the old authorities of a proxy at a login, and no other line', () => {
    const before = [`# mine`, ...linesFor(a), `host ${toAuthorizedKeyLine(c)}`].join('\n');
    const after = replaceAuthorities(before, 'proxy', linesFor(b));
    expect(authoritiesOf(after, 'proxy', 'example')).toEqual([b]);
    expect(after.split('\n').slice(0, 2)).toEqual(['# mine', `host ${toAuthorizedKeyLine(c)}`]);
  });
  it('change for one cluster of a proxy at a rotation, and for no other', () => {
    const leaf = authorityLines([{ clusterName: 'leaf', checkingKeys: [toAuthorizedKeyLine(b)] }], proxy);
    const other = linesFor(b, {
      clusterName: 'example',
      proxyHost: 'other',
      ssh: { host: 'other', port: 3023 },
    });
    const kept = ['# mine', `host ${toAuthorizedKeyLine(c).trim()}`, ...leaf, ...other];
    const announced = { clusterName: 'example', checkingKeys: [c, a].map((key) => toAuthorizedKeyLine(key)) };
    const after = replaceClusterAuthorities([...linesFor(a), ...kept].join('\n'), announced, proxy);
    expect(after).toBe([...kept, ...linesFor(c), ...linesFor(a), ''].join('\n'));
  });
  it('believe nothing that an earlier release let a proxy write', () => {
    const bank = 'clustername=bank&type=host&proxy=proxy.bank.example';
    const text = [
      `@cert-authority * ${toAuthorizedKeyLine(a)} ${bank}`,
      `@cert-authority *.bank,[*.bank]:*,*,[*]:3023 ${toAuthorizedKeyLine(a)} ${bank}`,
      `@cert-authority *.bank,[*.bank]:* ${toAuthorizedKeyLine(a)} x ${bank}`,
      `@cert-authority *.example,[*.example]:*,proxy.bank.example ${toAuthorizedKeyLine(a)} ${bank}`,
      `@cert-authority *.bank,[*.bank]:*,proxy.bank.example ${toAuthorizedKeyLine(b)} ${bank}`,
    ].join('\n');
    expect(authoritiesOf(text, 'proxy.bank.example', 'bank')).toEqual([b]);
  });
  it('have one line for each authority, for the names of its own cluster and proxy, whatever is asked for', () => {
    const name = fc.oneof(hostileText(), fc.constantFrom('example', 'a.b', '::1', '*', '*.a', 'a,*', '!a'));
    fc.assert(
      fc.property(
        name,
        name,
        name,
        fc.oneof(fc.integer(), fc.double()),
        (clusterName, proxyHost, host, port) => {
          const clusters = [{ clusterName, checkingKeys: [toAuthorizedKeyLine(a)] }];
          let lines: readonly string[];
          try {
            lines = authorityLines(clusters, { clusterName, proxyHost, ssh: { host, port } });
          } catch (e) {
            if (!isCoded(e, 'bad_request')) throw e;
            return;
          }
          expect(lines).toHaveLength(1);
          expect(lines[0]).toMatch(/^@cert-authority [!-~]+ ssh-ed25519 [!-~]+ clustername=[!-~]+$/);
          const [, patterns = ''] = lines[0]?.split(' ') ?? [];
          const nodes = [`*.${clusterName}`, `[*.${clusterName}]:*`];
          expect(patterns.split(',').filter((p) => /[*?!]/.test(p))).toEqual(nodes);
          expect(knownAuthorities(lines.join('\n'))).toEqual([{ clusterName, proxyHost, blob: a }]);
        },
      ),
      { numRuns: 500 },
    );
  });
  it.each(['*', 'x,*', 'x y', 'x\n@cert-authority *', '[*]:22', '[x]:0', '[x]:22 y', ''])(
    'keep no plain key for %j',
    (name) => {
      expect(() => plainKeyLine(name, a)).toThrow('cannot be written into known_hosts');
    },
  );
  it('keep plain keys under the names that ssh looks for', () => {
    expect(['h', '[h]:3023', '::1', '[::1]:3023'].map((n) => plainKeyLine(n, a).split(' ')[0])).toEqual([
      'h',
      '[h]:3023',
      '::1',
      '[::1]:3023',
    ]);
  });
  it('hold plain keys for exactly one address', () => {
    const text = `[h]:22,x ${toAuthorizedKeyLine(a)}\n@cert-authority x ${toAuthorizedKeyLine(b)}\nx ssh-rsa junk\n`;
    expect(plainKeysOf(text, 'x')).toEqual([a]);
    expect(plainKeysOf(text, 'y')).toEqual([]);
  });
});
