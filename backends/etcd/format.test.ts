import { describe, expect, it } from 'vitest';
import { checkFormat, checkVersion } from './format.ts';

describe('the version of etcd', () => {
  it.each(['3.3.0', '3.4.23', '3.4.0-rc.1', '3.5.9', '3.6.1', '3.10.0', '4.0.0', '3.7.0-alpha.0', '3.5'])(
    '%s is taken',
    (version) => {
      expect(() => {
        checkVersion(version);
      }).not.toThrow();
    },
  );

  it.each(['2.3.8', '3.0.17', '3.2.32', '3.2', '0.4.9'])('%s is refused by name', (version) => {
    expect(() => {
      checkVersion(version);
    }).toThrow(`etcd ${version} is too old: 3.3 or later is needed`);
  });

  it.each(['', 'main', '3', 'v3.5.9', '3.x', '3.5x', '-1.9'])('%j is refused: it is none', (version) => {
    expect(() => {
      checkVersion(version);
    }).toThrow(/etcd reports the version/);
  });
});

describe('the mark at the prefix', () => {
  it('of this version is taken', () => {
    expect(() => {
      checkFormat('teleport-log 1\n', '/teleport');
    }).not.toThrow();
  });

  it('of a later version is refused: upgrade', () => {
    expect(() => {
      checkFormat('teleport-log 12\n', '/teleport');
    }).toThrow(/\/teleport was written by a newer version.*format 12, this one knows 1/);
  });

  it.each(['', 'teleport-log', 'teleport-log 1', 'teleport-log one\n', 'teleport-log 1\nmore', 'other 1\n'])(
    'that is none is refused: %j',
    (mark) => {
      expect(() => {
        checkFormat(mark, '/teleport');
      }).toThrow('what is stored at the prefix /teleport is not a log of ours');
    },
  );
});
