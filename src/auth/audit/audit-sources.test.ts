import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import recordedFacts from '../../domain/fixtures/facts.json' with { type: 'json' };
import type { Recorded } from '../../log/event.ts';
import { uuidV7 } from '../../log/uuid-v7.ts';
import { auditSources } from './audit-sources.ts';

const uuid = (): string => '00000000-0000-4000-8000-000000000001';
const fixtures = (recordedFacts as unknown as readonly Recorded[]).map((one) => ({
  ...one,
  id: uuidV7({ now: () => one.cause.at, uuid }),
}));

/** What is found in one recorded fact of each kind, by the name of the index that has it. */
const known: Readonly<Record<string, string>> = {
  'told.1': 'e575e715d2b51aafd50442997722df7081c70431dc08f23b796c6277199ae8ec',
  'reported.1': '2128b741f1539f917a76a869fa7e1d46c4c2aa21e3eeedc020d604642aeb5878',
};

describe('an index of the audit', () => {
  it.each(auditSources)('of $partition has another name when something else is found in a fact', (source) => {
    const found = fixtures
      .map((one) => [one.fact.type, ...new Set(source.terms.of(one))].sort())
      .filter(({ length }) => length > 1);
    const digest = hash('sha256', JSON.stringify(found));
    // An index that an earlier release, or one beside this, makes under the same name would hide what it does
    // not find. So when this fails, raise the number in the name as well, unless no release has it yet.
    expect({ [source.terms.name]: digest }).toEqual({ [source.terms.name]: known[source.terms.name] });
  });

  it('finds events of a fact by what is told of it', () => {
    const [state] = auditSources;
    const login = fixtures.find(({ fact }) => fact.type === 'user.logged_in') ?? expect.unreachable();
    expect([...(state?.terms.of(login) ?? [])]).toContain('type user.login');
  });
});
