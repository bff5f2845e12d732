import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import { WriteTrouble } from './write-trouble.ts';

const well = { writes: 'taken', trouble: undefined };
const full = new CodedError('no_space', 'the disk is nearly full');
const readOnly = new CodedError('unavailable', 'the file system is read-only now');

function setUp(): { trouble: WriteTrouble; disk: (refuses: readonly Partition[]) => void } {
  let refused: readonly Partition[] = [];
  return {
    trouble: new WriteTrouble((what) => (refused.includes(what) ? `no room for ${what}` : undefined)),
    disk: (refuses) => {
      refused = refuses;
    },
  };
}

describe('whether a directory takes writes', () => {
  it('is what its disk says now, before anything was refused, until it has room', () => {
    const { trouble, disk } = setUp();
    expect(trouble.report()).toEqual(well);
    disk(['audit', 'presence']);
    expect(trouble.report()).toEqual({ writes: 'taken', trouble: 'no room for audit' });
    disk(['audit', 'presence', 'state']);
    trouble.failed('vault', full);
    trouble.failed('audit', full);
    // What makes room, and what was under way, says nothing of the next.
    trouble.succeeded('deleting');
    expect(trouble.report()).toEqual({ writes: 'refused', trouble: 'no room for state' });
    disk([]);
    expect(trouble.report()).toEqual(well);
  });

  it('is what failed where the disk has room, as with a quota, until what needs as much succeeds', () => {
    const { trouble } = setUp();
    trouble.failed('audit', full);
    expect(trouble.report()).toEqual({ writes: 'taken', trouble: full.message });
    trouble.failed('vault', full);
    trouble.succeeded('deleting');
    trouble.succeeded('state');
    expect(trouble.report()).toEqual({ writes: 'refused', trouble: full.message });
    trouble.succeeded('presence');
    expect(trouble.report()).toEqual(well);
  });

  it('is no for a disk with errors, whatever was to be written', () => {
    const { trouble } = setUp();
    trouble.failed('presence', readOnly);
    expect(trouble.report()).toEqual({ writes: 'refused', trouble: readOnly.message });
    trouble.succeeded('presence');
    trouble.failed('deleting', readOnly);
    expect(trouble.report()).toEqual({ writes: 'taken', trouble: readOnly.message });
    trouble.succeeded('deleting');
    expect(trouble.report()).toEqual(well);
  });

  it('does not depend on values that no store takes', () => {
    const { trouble } = setUp();
    trouble.failed('state', new CodedError('too_large', 'too large'));
    trouble.failed('meta', new CodedError('limit_exceeded', 'too large'));
    expect(trouble.report()).toEqual(well);
  });
});
