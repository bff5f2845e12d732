import { z } from 'zod';
import { CodedError, isCoded } from '../../../src/base/errors.ts';
import { joinToken, type TokenUse, type UseToken } from '../../../src/domain/join-token.ts';
import type { Decider } from '../../../src/log/decider.ts';
import type { ClusterLog } from '../../../src/log/event-log.ts';
import type { Cause, StreamName } from '../../../src/log/event.ts';
import { execute, step, transact } from '../../../src/log/execute.ts';
import { collect } from '../../../src/log/testing.ts';
import type { Answer, Asked } from './history.ts';

/** A list: what is appended says which place it was decided for. */
const listed = z.object({
  type: z.literal('trial.listed'),
  data: z.object({ n: z.number(), value: z.string() }),
});
const register: Decider<number, { readonly value: string }, z.infer<typeof listed>> = {
  fact: listed,
  initial: 0,
  decide: (n, { value }) => [{ type: 'trial.listed', data: { n: n + 1, value } }],
  evolve: (_n, { data }) => data.n,
};

const secretFact = z.discriminatedUnion('type', [
  z.object({ type: z.literal('trial.sealed'), data: z.object({}) }),
  z.object({ type: z.literal('trial.deleted'), data: z.object({ value: z.string() }) }),
]);
const secretDecider: Decider<
  'absent' | 'live' | 'deleted',
  { readonly by: string },
  z.infer<typeof secretFact>
> = {
  fact: secretFact,
  initial: 'absent',
  decide: (state, { by }) => {
    if (state !== 'live') throw new CodedError('not_found', 'there is no such secret');
    return [{ type: 'trial.deleted', data: { value: by } }];
  },
  evolve: (_state, { type }) => (type === 'trial.sealed' ? 'live' : 'deleted'),
};

const twoDaysMs = 48 * 3_600_000;

/** Does what a use case of an auth server does, with the deciders and calls that it takes. */
export async function carryOut(log: ClusterLog, asked: Asked, cause: Cause): Promise<Answer> {
  const { state } = log;
  switch (asked.kind) {
    case 'append': {
      const steps = asked.registers.map((name) => step(register, name as StreamName, { value: asked.value }));
      const { outcomes } = await transact(state, steps, cause);
      return { revisions: outcomes.map((one) => one.state) };
    }
    case 'read':
      return { values: await valuesOf(log, asked.register as StreamName) };
    case 'mint': {
      const command = { type: 'create-token', roles: ['Node'], ttlMs: twoDaysMs, uses: 1 } as const;
      await execute(state, joinToken, asked.token as StreamName, { ...command, now: cause.at }, cause);
      return { revisions: [1] };
    }
    case 'redeem':
      await execute(state, joinToken, asked.token as StreamName, useBy(asked.by, cause), cause);
      return { revisions: [2] };
    case 'seal': {
      const facts = [{ type: 'trial.sealed', data: {}, secrets: { value: Buffer.from(asked.value) } }];
      await state.append([{ stream: asked.secret as StreamName, expected: 0, facts }], cause);
      return { revisions: [1] };
    }
    case 'delete':
      await execute(state, secretDecider, asked.secret as StreamName, { by: asked.by }, cause);
      return { revisions: [2] };
    case 'erase':
      await erase(log, asked.secret as StreamName);
      return {};
    case 'unseal':
      return { secret: await lookAt(log, asked.secret as StreamName) };
    case 'beat':
      return { revisions: [await beat(log, asked.stream as StreamName, cause)] };
    case 'compact':
      await log.takeSnapshot('presence', [], { trim: true }, cause);
      return {};
  }
}

const useBy = (hostId: string, { at: now }: Cause): UseToken => {
  const use: TokenUse = { hostId, nodename: 'node', role: 'Node', address: '127.0.0.1:1', key: hostId };
  return { type: 'use-token', now, use, staticRoles: undefined };
};

async function erase({ state }: ClusterLog, stream: StreamName): Promise<void> {
  for (const event of await collect(state.read(stream))) if (event.sealed) await state.destroySecrets(event);
}

async function valuesOf({ state }: ClusterLog, stream: StreamName): Promise<string[]> {
  await state.head();
  const events = await collect(state.read(stream));
  return events.map(({ fact, revision }) => {
    const { data } = listed.parse(fact);
    return data.n === revision ? data.value : `${data.value}, decided for place ${data.n}`;
  });
}

async function lookAt({ state }: ClusterLog, stream: StreamName): Promise<NonNullable<Answer['secret']>> {
  const [sealed, deleted] = await collect(state.read(stream));
  if (sealed === undefined) return { stored: false, deleted: false };
  try {
    const opened = Buffer.from(await state.unseal(sealed, 'value')).toString();
    return { stored: true, deleted: deleted !== undefined, opened };
  } catch (e) {
    if (!isCoded(e, 'not_found')) throw e;
    return { stored: true, deleted: deleted !== undefined };
  }
}

async function beat({ presence }: ClusterLog, stream: StreamName, cause: Cause): Promise<number> {
  const expected = await presence.revision(stream);
  const facts = [{ type: 'trial.beaten', data: { n: expected + 1 } }];
  await presence.append([{ stream, expected, facts }], cause);
  return expected + 1;
}
