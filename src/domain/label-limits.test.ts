import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HostInfo } from './host-info.ts';
import { checkSize, commandValueBytes, labelFault, labelLimits, utf8Bytes } from './label-limits.ts';

const many = (n: number, value = 'v'): Record<string, string> =>
  Object.fromEntries(Array.from({ length: n }, (_, i) => [`l${i}`, value]));
const host = (extra: Partial<HostInfo>): HostInfo => ({
  hostId: '00000000-0000-4000-8000-000000000001',
  role: 'Node',
  nodename: 'n1',
  reachability: { status: 'direct', address: '10.0.0.1:3022' },
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
  ...extra,
});

describe('the labels of a host', () => {
  it.each<[Record<string, string>, string[], string | undefined, string | undefined]>([
    [{}, [], undefined, undefined],
    [many(64, 'x'.repeat(200)), [], undefined, undefined],
    [many(65), [], undefined, '65 labels: a host may have 64'],
    [many(60), ['a', 'b', 'c', 'd', 'e'], undefined, '65 labels: a host may have 64'],
    [{ a: 'ä'.repeat(513) }, [], 'a', 'the value of the label has 1026 bytes: it may have 1024'],
    [{ ['n'.repeat(129)]: '' }, [], 'n'.repeat(129), 'the name of the label has 129 bytes: it may have 128'],
    [{}, ['n'.repeat(129)], 'n'.repeat(129), 'the name of the label has 129 bytes: it may have 128'],
    [many(20, 'x'.repeat(1_000)), [], undefined, 'the labels have 20050 bytes together: they may have 16384'],
    [
      many(16, 'x'.repeat(1_018)),
      ['c'],
      undefined,
      '16327 bytes together: they may have 16384, with 64 for each',
    ],
  ])('%# are judged by number and size', (labels, commands, name, why) => {
    const fault = labelFault(labels, commands);
    expect(fault?.name).toBe(name);
    if (why === undefined) expect(fault).toBeUndefined();
    else expect(fault?.why).toContain(why);
  });

  it('of programs have a share that keeps whatever was admitted within the limits', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 });
    const labels = fc.dictionary(text, fc.string({ unit: 'grapheme', maxLength: 400 }), { maxKeys: 40 });
    fc.assert(
      fc.property(labels, fc.uniqueArray(text, { maxLength: 30 }), (fixed, commands) => {
        fc.pre(labelFault(fixed, commands) === undefined);
        const value = 'x'.repeat(commandValueBytes(fixed, commands));
        const all = { ...fixed, ...Object.fromEntries(commands.map((name) => [name, value])) };
        expect(labelFault(all)).toBeUndefined();
      }),
    );
  });

  it('are refused by who stores them', () => {
    const size = (extra: Partial<HostInfo>) => () => {
      checkSize(host(extra));
    };
    expect(size({ labels: many(64, 'x'.repeat(200)) })).not.toThrow();
    expect(size({ labels: { a: 'x'.repeat(50_000) } })).toThrow(/^labels "a": the value .* 50000 bytes/);
    expect(size({ labels: many(65) })).toThrow('labels: 65 labels');
    // Short in UTF-8, long in JSON.
    expect(size({ labels: many(16, '\u0001'.repeat(1_000)) })).toThrow(/bytes about itself/);
    expect(utf8Bytes('ä')).toBe(2);
    expect(labelLimits.labels).toBe(64);
  });
});
