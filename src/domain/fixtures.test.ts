import type { z } from 'zod';
import { describe, expect, it } from 'vitest';
import type { Decider } from '../log/decider.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { accessRequest, accessRequestFact } from './access-request.ts';
import { audit, auditFact } from './audit.ts';
import { authorityFact } from './authority-facts.ts';
import { authority } from './authority.ts';
import { cluster, clusterFact } from './cluster.ts';
import { configuration, configurationFact } from './config-facts.ts';
import recordedFacts from './fixtures/facts.json' with { type: 'json' };
import { host, hostFact } from './host.ts';
import { identity, identityFact } from './identity.ts';
import { invite, inviteFact } from './invite.ts';
import { joinToken, tokenFact } from './join-token.ts';
import { lock, lockFact } from './lock.ts';
import { presence, presenceFact } from './presence.ts';
import { restore, restoreFact } from './restore.ts';
import { role, roleFact } from './role.ts';
import { recording, recordingFact } from './recording.ts';
import { remoteCluster, remoteClusterFact } from './remote-cluster.ts';
import { trustedCluster, trustedClusterFact } from './trusted-cluster.ts';
import { upcast } from './upcast.ts';
import { user } from './user.ts';
import { userFact } from './user-fact.ts';

const fixtures = recordedFacts as unknown as readonly Recorded[];

interface Folding {
  readonly decider: Decider<unknown, never, Fact>;
  readonly types: readonly string[];
}
const folding = (decider: unknown, ...types: string[]): Folding => ({
  decider: decider as Folding['decider'],
  types,
});
type Union = z.ZodDiscriminatedUnion<readonly z.ZodObject<{ type: z.ZodLiteral<string> }>[]>;
const typesOf = (union: unknown): string[] => (union as Union).options.map(({ shape }) => shape.type.value);

const categories: Readonly<Record<string, Folding>> = {
  cluster: folding(cluster, ...typesOf(clusterFact)),
  configuration: folding(configuration, ...typesOf(configurationFact)),
  recording: folding(recording, ...typesOf(recordingFact)),
  authority: folding(authority, ...typesOf(authorityFact)),
  restore: folding(restore, ...typesOf(restoreFact)),
  role: folding(role, ...typesOf(roleFact)),
  user: folding(user, ...typesOf(userFact)),
  invite: folding(invite, ...typesOf(inviteFact)),
  host: folding(host, ...typesOf(hostFact)),
  identity: folding(identity, ...typesOf(identityFact)),
  token: folding(joinToken, ...typesOf(tokenFact)),
  trusted: folding(trustedCluster, ...typesOf(trustedClusterFact)),
  remote: folding(remoteCluster, ...typesOf(remoteClusterFact)),
  request: folding(accessRequest, ...typesOf(accessRequestFact)),
  lock: folding(lock, ...typesOf(lockFact)),
  presence: folding(presence, presenceFact.shape.type.value),
  session: folding(audit, auditFact.shape.type.value),
  audit: folding(audit, auditFact.shape.type.value),
};
const categoryOf = (stream: StreamName): string => stream.slice(0, stream.indexOf('-'));

describe('facts that were recorded once', () => {
  it.each(fixtures.map((event) => [event.fact.type, event] as const))(
    '%s still reads, whole',
    (_type, event) => {
      const { decider } = categories[categoryOf(event.stream)] ?? expect.unreachable(event.stream);
      expect(decider.fact.parse(event.fact)).toEqual(upcast(event.fact));
    },
  );

  it('still fold, stream by stream', () => {
    const states = new Map<StreamName, unknown>();
    for (const event of fixtures) {
      const { decider } = categories[categoryOf(event.stream)] ?? expect.unreachable(event.stream);
      const before = states.has(event.stream) ? states.get(event.stream) : decider.initial;
      states.set(event.stream, decider.evolve(before, decider.fact.parse(event.fact)));
    }
    expect(Object.fromEntries(states)).toMatchSnapshot();
  });

  it('are of every type there is', () => {
    for (const [category, { types }] of Object.entries(categories)) {
      const seen = fixtures
        .filter(({ stream }) => categoryOf(stream) === category)
        .map(({ fact }) => fact.type);
      expect([...new Set(seen)].sort()).toEqual([...types].sort());
    }
  });
});
