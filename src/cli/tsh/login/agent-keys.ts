import { pause } from '../../../base/backoff.ts';
import { messageOf } from '../../../base/errors.ts';
import { SshAgent, agentComment } from '../../../ssh/agent-client.ts';
import type { CliIo } from '../../cli-io.ts';
import { type ClientIdentity, validUntilMs } from './client-identity.ts';

/** An agent that does not reply within this time is not used. */
const patienceMs = 2_000;

/**
 * Gives the certificate to the agent of this person, for as long as it is valid, in place of older ones of
 * the same user. An agent that is absent, broken or cannot hold certificates is only mentioned when `debug`.
 */
export async function loadIntoAgent(identity: ClientIdentity, io: CliIo, debug: boolean): Promise<void> {
  const comment = agentComment(identity.username);
  await withAgent(io, debug, async (agent) => {
    const stored = await agent.identities();
    if (stored.some((key) => key.blob.equals(identity.certificateBlob))) return;
    for (const old of stored.filter((key) => key.comment === comment)) await agent.remove(old.blob);
    await agent.add({
      privateKey: identity.privateKey,
      certificate: identity.certificateBlob,
      comment,
      ...lifetime(identity, io),
    });
  });
}

/** Removes the keys of this user (everything that tsh added, when undefined) from the agent. */
export async function removeFromAgent(
  io: CliIo,
  debug: boolean,
  username: string | undefined,
): Promise<void> {
  const ours = (comment: string): boolean =>
    username === undefined ? comment.startsWith(agentComment('')) : comment === agentComment(username);
  await withAgent(io, debug, async (agent) => {
    for (const key of await agent.identities()) if (ours(key.comment)) await agent.remove(key.blob);
  });
}

function lifetime(identity: ClientIdentity, io: CliIo): { readonly lifetimeSeconds?: number } {
  const seconds = Math.floor((validUntilMs(identity) - Date.parse(io.world.now())) / 1000);
  return Number.isFinite(seconds) ? { lifetimeSeconds: Math.min(0xffff_ffff, Math.max(1, seconds)) } : {};
}

async function withAgent(io: CliIo, debug: boolean, work: (agent: SshAgent) => Promise<void>): Promise<void> {
  const agent = SshAgent.of(io.env);
  if (agent === undefined) return;
  const done = new AbortController();
  const tooLong = pause(patienceMs, done.signal).then(() => {
    throw new Error(`no answer within ${patienceMs} ms`);
  });
  try {
    await Promise.race([work(agent), tooLong]);
  } catch (e) {
    if (debug) io.stderr.write(`the ssh agent is not used: ${messageOf(e)}\n`);
  } finally {
    tooLong.catch(() => undefined);
    done.abort();
  }
}
