import { isCoded, messageOf } from '../../base/errors.ts';
import { minute } from '../../base/time.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { secretsDestroyed, secretsStream } from '../../domain/superseded-secrets.ts';
import { supersededSince } from '../../views/superseded.ts';
import type { AuthDeps } from '../deps.ts';

export interface SecretsDestroyer {
  /** Destroys the superseded secrets that are not known to be gone; resolves when that was tried. */
  run(): Promise<void>;
  trouble(): string | undefined;
  close(): Promise<void>;
}

const everyMs = 10 * minute;

/**
 * Makes sure that the data keys of superseded secrets are deleted from the vault, even when the server that
 * superseded them lost a reply, ended in between, or had a store that was full or restored. Any auth server
 * may do it, and several at once: a destroyed key stays destroyed. Each use case also destroys its own at
 * once.
 */
export function destroySuperseded(
  deps: Pick<AuthDeps, 'log' | 'views' | 'world' | 'sink' | 'hostId'>,
): SecretsDestroyer {
  let failing: string | undefined;
  const destroy = async (): Promise<void> => {
    await deps.views.fresh();
    const { doomed, anew } = deps.views.superseded.state();
    const upTo = Math.max(doomed.at(-1)?.position ?? 0, anew?.position ?? 0);
    if (upTo === 0) return;
    const again = anew === undefined ? [] : await supersededSince(deps.log.state.history(0), anew.firstLost);
    const keyIds = new Set([...again, ...doomed.map(({ keyId }) => keyId)]);
    await deps.log.state.destroyKeys([...keyIds]);
    const expected = await deps.log.state.revision(secretsStream);
    const cause = { at: deps.world.now(), actor: `auth:${deps.hostId}`, requestId: deps.world.uuid() };
    await deps.log.state.append(
      [{ stream: secretsStream, expected, facts: [secretsDestroyed(upTo, keyIds.size)] }],
      cause,
    );
  };
  const run = async (): Promise<void> => {
    try {
      await destroy();
      failing = undefined;
    } catch (e) {
      // Another auth server has recorded it.
      if (isCoded(e, 'conflict')) return;
      if (!isCoded(e)) throw e;
      if (failing === undefined)
        deps.sink.warn('keys of secrets that do not count any more could not be destroyed', {
          reason: e.message,
        });
      failing = messageOf(e);
    }
  };
  let running = Promise.resolve();
  const begin = (): Promise<void> => {
    running = running.then(run);
    return running;
  };
  const timer = startTicker(() => void begin(), everyMs);
  timer.unref();
  return {
    run: begin,
    trouble: () =>
      failing === undefined ? undefined : `keys of superseded secrets are not destroyed yet: ${failing}`,
    close: async () => {
      stopTimer(timer);
      await running;
    },
  };
}
