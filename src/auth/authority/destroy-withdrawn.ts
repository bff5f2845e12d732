import type { AuthoritiesState } from '../../views/authorities.ts';
import { trustedOf } from '../../views/authorities.ts';
import type { AuthDeps } from '../deps.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';

/**
 * Destroys the private halves of keys that were trusted in `before` and are not now. If that fails,
 * `destroySuperseded` does it later.
 */
export async function destroyWithdrawn(
  deps: Pick<AuthDeps, 'log' | 'sink' | 'views'>,
  before: AuthoritiesState,
): Promise<void> {
  const now = deps.views.authorities.state();
  const withdrawn = (['user', 'host'] as const).flatMap((type) => {
    const kept = new Set(trustedOf(now, type).map(({ keyId }) => keyId));
    return trustedOf(before, type)
      .filter(({ keyId }) => !kept.has(keyId))
      .map(({ keyId }) => before[type].sealedIn[keyId]);
  });
  await destroySecrets(deps, withdrawn);
}
