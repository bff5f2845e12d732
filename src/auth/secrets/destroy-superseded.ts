import { minute } from '../../base/time.ts';
import { secretsDestroyed, secretsStream } from '../../domain/superseded-secrets.ts';
import { supersededSince } from '../../views/superseded.ts';
import type { AuthDeps } from '../deps.ts';
import { ownCause } from '../own-cause.ts';
import { startUpkeep, type Upkeep } from '../upkeep.ts';

const everyMs = 10 * minute;

/**
 * Makes sure that the data keys of superseded secrets are deleted from the vault, even when the server that
 * superseded them lost a reply, ended in between, or had a store that was full or restored. Any auth server
 * may do it, and several at once: a destroyed key stays destroyed. Each use case also destroys its own at
 * once.
 */
export function destroySuperseded(
  deps: Pick<AuthDeps, 'log' | 'views' | 'world' | 'sink' | 'hostId'>,
): Upkeep {
  const destroy = async (): Promise<void> => {
    await deps.views.fresh();
    const { doomed, anew } = deps.views.superseded.state();
    const upTo = Math.max(doomed.at(-1)?.position ?? 0, anew?.position ?? 0);
    if (upTo === 0) return;
    const again = anew === undefined ? [] : await supersededSince(deps.log.state.history(0), anew.firstLost);
    const keyIds = new Set([...again, ...doomed.map(({ keyId }) => keyId)]);
    await deps.log.state.destroyKeys([...keyIds]);
    const expected = await deps.log.state.revision(secretsStream);
    await deps.log.state.append(
      [{ stream: secretsStream, expected, facts: [secretsDestroyed(upTo, keyIds.size)] }],
      ownCause(deps),
    );
  };
  return startUpkeep({
    act: destroy,
    everyMs,
    sink: deps.sink,
    warning: 'keys of secrets that do not count any more could not be destroyed',
    late: 'keys of superseded secrets are not destroyed yet',
  });
}
