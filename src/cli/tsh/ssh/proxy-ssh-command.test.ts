import { describe, expect, it } from 'vitest';
import { parseNode, withoutCluster } from './proxy-ssh-command.ts';

describe('the node of tsh proxy ssh', () => {
  it.each([
    ['node1:22', 'node1', 22],
    ['root@node1:2222', 'node1', 2222],
    ['node1', 'node1', undefined],
    ['node1:3022', 'node1', undefined],
    ['[fd00::1]:22', 'fd00::1', 22],
    ['fd00::1:22', 'fd00::1', 22],
  ])('is read from %s', (text, host, port) => {
    expect(parseNode(text)).toEqual({ host, port });
  });
  it.each(['', ':22', 'node1:x', 'node1:0', 'node1:70000'])('is refused: %j', (text) => {
    expect(() => parseNode(text)).toThrow();
  });
  it('loses the name of the cluster', () => {
    expect([withoutCluster('node1.example', 'example'), withoutCluster('node1.other', 'example')]).toEqual([
      'node1',
      'node1.other',
    ]);
    expect(withoutCluster('.example', 'example')).toBe('.example');
  });
});
