import { describe, expect, it } from 'vitest';
import { formatPage, formatPairs, formatTable } from './table.ts';

describe('laying out a table', () => {
  it('pads every cell, the last too, one blank apart', () => {
    expect(formatTable(['Node Name', 'Address', 'Labels'], [['n1', '127.0.0.1:3022', 'env=dev']])).toBe(
      'Node Name Address        Labels  \n' +
        '--------- -------------- ------- \n' +
        'n1        127.0.0.1:3022 env=dev \n',
    );
  });
  it('makes no column narrower than five', () => {
    expect(formatTable(['A'], [['b']])).toBe('A    \n-    \nb    \n');
  });
  it('has titles above the first page alone', () => {
    expect(formatPage(['Name'], [['n1']], true)).toBe('Name \n---- \nn1   \n');
    expect(formatPage(['Name'], [['n2']], false)).toBe('n2   \n');
    expect(formatPage(['Name'], [], false)).toBe('');
  });
  it('lays out pairs without titles', () => {
    expect(
      formatPairs([
        ['Cluster', 'example'],
        ['CA pin', 'sha256:ab'],
      ]),
    ).toBe('Cluster  example    \nCA pin   sha256:ab  \n');
  });
  it('shows controls instead of sending them', () => {
    expect(formatTable(['Name'], [['a\u001b[2Jb']])).toContain('a\\x1b[2Jb');
  });
});
